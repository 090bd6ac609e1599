"""Whatever becomes of a set, each evaluation is paid once: by the images it was executed for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hierflow.images import read_history
from hierflow.spec import ImageSetSpec
from hierflow.stages.making.latents import denoise_trunk
from hierflow.stages.making.todo import todo
from hierflow.stages.reports.history import HISTORY
from hierflow.store.ledger import MEASURED
from hierflow_tests.stages.runs import Run, carry_out, planned, spec_of, stage_of

TEXTS = [f"a {color} {thing}" for color in ("red", "blue", "green") for thing in ("mug", "chair", "car")]
POOL = [*TEXTS, "two green cats", "xyz 99", "a pink hat"]


@dataclass(frozen=True)
class Day:
    """What happens to a set before and at a run.

    Attributes:
        prompts: what it is asked for, as indices into the pool.
        killed: what the run before was asked for, which died once the trunk was made; empty if there was none.
        lost: how many images lose their files before.
        bare: whether all states are lost, too.
    """

    prompts: list[int]
    killed: list[int]
    lost: int
    bare: bool


def document(model: Path, storage: Path, prompts: Sequence[str], tau: float = 2.0, steps: int = 4) -> ImageSetSpec:
    """A set of small partitions below a trunk, on which new prompts are grafted early and late."""
    return spec_of(model, storage=storage, prompts=list(prompts), sharing={"tau": tau}, max_prompts=2, steps=steps)


def paid_ever(run: Run) -> float:
    """By all images there have ever been."""
    return sum(version.evaluations_paid for version in read_history(run.stage.store.files.read(HISTORY)))


def executed_ever(run: Run) -> int:
    entries = run.stage.store.ledger.entries()
    return sum(entry.evaluations for entry in entries if entry.stage != MEASURED)


def die_after_the_trunk(spec: ImageSetSpec) -> None:
    stage = stage_of(spec)
    compiled, prompts = planned(stage)
    denoise_trunk(stage, compiled, prompts, todo(stage.store, compiled))


def lose_images(run: Run, count: int) -> None:
    for row in run.assembled.rows[:count]:
        run.stage.store.files.delete(row.image_path)


PROMPTS = st.lists(st.integers(0, len(POOL) - 1), min_size=2, max_size=6, unique=True)
DAYS = st.lists(
    st.builds(
        Day,
        PROMPTS,
        killed=st.one_of(st.just([]), PROMPTS),
        lost=st.sampled_from([0, 0, 1, 3]),
        bare=st.sampled_from([False, False, True]),
    ),
    min_size=2,
    max_size=4,
)


def live(model: Path, storage: Path, days: list[Day]) -> None:
    """Go through `days`, asking each evening who has paid for what."""
    run, abandoned = None, False
    for day in days:
        if run:
            lose_images(run, day.lost)
        if run and day.bare:
            for path in run.stage.store.files.list("states"):
                run.stage.store.files.delete(path)
        if day.killed:
            die_after_the_trunk(document(model, storage, [POOL[place] for place in day.killed]))
        run = carry_out(document(model, storage, [POOL[place] for place in day.prompts]))
        abandoned = abandoned or not set(day.killed) <= set(day.prompts)
        assert run.assembled.complete
        assert run.account.books.problems == ()
        paid = [paid for entry in run.stage.store.ledger.entries() for paid in entry.paid or ()]
        assert paid_ever(run) == pytest.approx(sum((p.last - p.first + 1) * p.evaluations for p in paid))
        if abandoned:  # what was executed for images that were never made is theirs
            assert paid_ever(run) < executed_ever(run) + 1e-6
        else:
            assert paid_ever(run) == pytest.approx(executed_ever(run))


quiet = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


@settings(quiet, max_examples=4)
@given(days=DAYS)
def test_what_all_images_paid_is_what_was_executed_for_them(
    tiny_learned: Path, tmp_path: Path, days: list[Day]
) -> None:
    live(tiny_learned, fresh_folder(tmp_path), days)


@pytest.mark.slow
@settings(quiet, max_examples=40)
@given(days=DAYS)
def test_so_it_is_in_many_more_lives(tiny_learned: Path, tmp_path: Path, days: list[Day]) -> None:
    live(tiny_learned, fresh_folder(tmp_path), days)


def test_an_image_that_is_made_again_pays_nothing_for_the_trunk_again(tiny_learned: Path, tmp_path: Path) -> None:
    first = carry_out(document(tiny_learned, tmp_path, TEXTS))
    assert first.compiled.evaluations_of(None) > 0
    before = {row.prompt_id: row.evaluations_paid for row in first.assembled.rows}
    assert sum(before.values()) == pytest.approx(first.account.books.executed)
    lose_images(first, 2)
    again = carry_out(document(tiny_learned, tmp_path, TEXTS))
    assert again.account.books.executed == 0
    assert {row.prompt_id: row.evaluations_paid for row in again.assembled.rows} == before


@pytest.mark.parametrize("tau", [1.0, 4.0])
def test_what_the_trunk_executes_for_grafts_they_pay_alone(tiny_learned: Path, tmp_path: Path, tau: float) -> None:
    first = carry_out(document(tiny_learned, tmp_path, TEXTS, tau, steps=10))
    before = {row.prompt_id: row.evaluations_paid for row in first.assembled.rows}
    new = ["two green cats", "xyz 99", "a pink hat"]
    second = carry_out(document(tiny_learned, tmp_path, [*TEXTS, *new], tau, steps=10))
    assert sum(entry.evaluations for entry in second.entries if entry.stage == "trunk") > 0
    after = {row.prompt_id: row.evaluations_paid for row in second.assembled.rows}
    assert {name: after[name] for name in before} == before
    assert sum(after[name] for name in after.keys() - before) == pytest.approx(second.account.books.executed)


def test_all_partitions_pay_for_a_trunk_alike_in_whatever_order_they_come(tiny_learned: Path, tmp_path: Path) -> None:
    def paid(storage: Path) -> dict[str, float]:
        run = carry_out(document(tiny_learned, storage, TEXTS))
        return {row.prompt: row.evaluations_paid for row in run.assembled.rows}

    whole = paid(tmp_path / "whole")
    die_after_the_trunk(document(tiny_learned, tmp_path / "halted", TEXTS))
    assert paid(tmp_path / "halted") == pytest.approx(whole)


def fresh_folder(tmp_path: Path) -> Path:
    """A folder that no earlier example has used."""
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    folder.mkdir()
    return folder
