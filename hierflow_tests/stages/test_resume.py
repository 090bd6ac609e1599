"""A run that broke off, however it did, is taken up where it stood, with the same images and honest books."""

from __future__ import annotations

import signal
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from hierflow.spec import ImageSetSpec
from hierflow.stages.context import Stage
from hierflow.stages.reports.auditing import audit
from hierflow.stages.reports.image_set import assemble
from hierflow.store.ledger import Entry
from hierflow_tests.stages.runs import Run, assert_equal, carried_out, carry_out, planned, spec_of, stage_of

MANY = [f"a {color} {thing}" for color in ("red", "blue", "grey") for thing in ("mug", "hat", "cat", "oak")][:11]
STEPS, EVERY = 8, 3
"""States are kept after steps 3 and 6."""

KILLED = """
import os, signal, sys
from pathlib import Path
from hierflow.spec import ImageSetSpec
from hierflow_tests.stages.runs import carried_out, stage_of

stage = stage_of(ImageSetSpec.model_validate_json(Path(sys.argv[1]).read_text()))
real = stage.adapter.predict

def predict(latents, index, conditioning):
    if index == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return real(latents, index, conditioning)

stage.adapter.predict = predict
carried_out(stage)
"""


class BrokenError(Exception):
    """Stands for whatever goes wrong."""


def document(model: Path, storage: Path | None, **settings: Any) -> ImageSetSpec:
    sharing = {"tau": 0.5, "checkpoint_every": EVERY}
    return spec_of(model, prompts=MANY, storage=storage, sharing=sharing, steps=STEPS, **settings)


@cache
def undisturbed(model: Path, scheduler: str = "ddpm") -> Run:
    """The same set, made in one go."""
    return carry_out(document(model, None, scheduler=scheduler))


def breaking_at(spec: ImageSetSpec, step: int, batch: int = 1) -> Stage:
    """A stage whose model breaks in the given batch of the given step."""
    stage, seen = stage_of(spec), []
    real = stage.adapter.predict

    def predict(latents: torch.Tensor, index: int, conditioning: Any) -> torch.Tensor:
        seen.append(index)
        if index == step - 1 and seen.count(index) == batch:
            raise BrokenError
        return real(latents, index, conditioning)

    stage.adapter.predict = predict  # type: ignore[method-assign]
    return stage


def to_redo(stage: Stage, step: int) -> int:
    """Evaluations since the last checkpoint of the nodes that were still at work when `step` broke off."""
    plan = planned(stage)[0].plan
    since = range((step - 1) // EVERY * EVERY + 1, step)
    return sum(int(plan.last[segment]) >= step for k in since for segment in plan.active(k))


def lost_entry(stage: Stage, status: str) -> Entry:
    (entry,) = (entry for entry in stage.store.ledger.entries() if entry.status == status)
    return entry


@pytest.mark.parametrize("scheduler", ["ddpm", "unipc"])
@pytest.mark.parametrize("step", [1, 3, 5, 8])
def test_a_run_that_failed_goes_on_from_its_last_states(
    tiny_learned: Path, tmp_path: Path, step: int, scheduler: str
) -> None:
    spec = document(tiny_learned, tmp_path, scheduler=scheduler)
    stage = breaking_at(spec, step)
    with pytest.raises(BrokenError):
        carried_out(stage)
    failed = lost_entry(stage, "failed")
    sizes = [int(size) for size in stage.store.plans.current().plan.frontier_sizes]  # type: ignore[union-attr]
    assert "BrokenError" in failed.error
    assert failed.evaluations == sum(sizes[: step - 1])
    assert failed.unaccounted == 0

    resumed = carry_out(spec)
    books = resumed.account.books
    assert books.problems == ()
    assert books.redone == to_redo(resumed.stage, step)
    assert books.executed == sum(sizes[step - 1 :]) + books.redone
    assert_equal(resumed.latents(), undisturbed(tiny_learned, scheduler).latents())


def test_what_a_failed_run_leaves_is_booked_to_the_evaluation(tiny_learned: Path, tmp_path: Path) -> None:
    stage = breaking_at(document(tiny_learned, tmp_path), step=STEPS, batch=2)
    with pytest.raises(BrokenError):
        carried_out(stage)
    compiled, prompts = planned(stage)
    account = audit(stage, compiled, assemble(stage, compiled, prompts).rows)
    assert account.books.problems == ()
    assert account.books.executed == account.books.noted == int(compiled.plan.frontier_sizes[:-1].sum())
    assert account.books.outstanding == len(MANY)
    assert account.books.unaccounted == 8  # the first batch of the last step had been through the network


@pytest.mark.parametrize("step", [2, 6])
def test_a_failure_in_the_trunk_or_a_later_partition_loses_nothing_else(
    tiny_learned: Path, tmp_path: Path, step: int
) -> None:
    spec = document(tiny_learned, tmp_path, max_prompts=4)
    with pytest.raises(BrokenError):
        carried_out(breaking_at(spec, step))
    resumed = carry_out(spec)
    assert resumed.account.books.problems == ()
    assert resumed.assembled.complete
    assert_equal(resumed.latents(), undisturbed(tiny_learned).latents())
    executed = sum(entry.evaluations for entry in resumed.stage.store.ledger.entries())
    assert sum(row.evaluations_paid for row in resumed.assembled.rows) == pytest.approx(executed)


def test_a_killed_run_goes_on_from_its_last_states(tiny_learned: Path, tmp_path: Path) -> None:
    spec = document(tiny_learned, tmp_path / "store")
    (tmp_path / "spec.json").write_text(spec.model_dump_json(exclude_unset=True))
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "spec.json"), "4"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    stage = stage_of(spec)
    lost = lost_entry(stage, "lost")
    sizes = [int(size) for size in stage.store.plans.current().plan.frontier_sizes]  # type: ignore[union-attr]
    assert lost.evaluations == sum(sizes[:4])
    assert lost.unaccounted == sizes[4]  # at most the step in flight

    resumed = carried_out(stage)
    books = resumed.account.books
    assert books.problems == ()
    assert books.redone == to_redo(stage, 5)
    assert books.executed == sum(sizes[4:]) + books.redone
    assert_equal(resumed.latents(), undisturbed(tiny_learned).latents())
    assert_equal(resumed.pixels(), undisturbed(tiny_learned).pixels())


def test_a_trunk_that_was_taken_up_again_is_paid_in_full(tiny_learned: Path, tmp_path: Path) -> None:
    spec = document(tiny_learned, tmp_path, max_prompts=4)
    plan = planned(stage_of(spec))[0]
    trunk = max(int(plan.plan.last[segment]) for segment in plan.segments_of(None))
    assert trunk > EVERY  # else no state of it is stored when it breaks off
    broken = breaking_at(spec, trunk)
    with pytest.raises(BrokenError):
        carried_out(broken)
    resumed = carry_out(spec)
    executed = sum(entry.evaluations for entry in resumed.stage.store.ledger.entries())
    assert sum(row.evaluations_paid for row in resumed.assembled.rows) == pytest.approx(executed)
