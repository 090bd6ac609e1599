"""`sharing.quality`: tau found by a pilot."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hierflow.audit.history import past_runs
from hierflow.errors import InputError
from hierflow.prompts import PromptSet, load_prompts
from hierflow.scoring.choice import Scorers
from hierflow.scoring.pair import STANDARD, ArmImage
from hierflow.scoring.pilot_curve import PilotCurve
from hierflow.spec import ImageSetSpec, SharingSpec
from hierflow.stages.context import Stage
from hierflow.stages.embedding.embeddings import embed
from hierflow.stages.overview.outlook import look_ahead
from hierflow.stages.overview.preflight import check_input
from hierflow.stages.planning.make_plan import fresh_plan
from hierflow.stages.quality import pilot_trial
from hierflow.stages.quality.arm_images import arm_images
from hierflow.stages.quality.arms import Arm, sample
from hierflow.stages.quality.pilot import curve_of, load_pilot
from hierflow.stages.quality.pilot_trial import BUDGETS, trial_of
from hierflow.stages.reports.auditing import audit
from hierflow.store.ledger import MEASURED
from hierflow.terminal.plan import describe_plan
from hierflow_tests.stages.runs import carry_out, planned, spec_of, spoil_first_image, stage_of

PROMPTS = [
    f"{color} {thing}" for color in ("red", "blue", "green", "pink") for thing in ("mug", "hat", "cat", "fish")
]
STEPS = 6
LOSS = 0.1
"""Some budgets lose less, and some more."""


class Likeness:
    """A judge that scores an image by how far it is from what the prompt alone gives; 1 where it is that."""

    name, version = "clip_similarity", "likeness"

    def __init__(self, alone: dict[str, np.ndarray]) -> None:
        self.alone = alone

    def score(self, images: Sequence[np.ndarray], prompts: Sequence[str]) -> list[float]:
        return [
            1 - float(np.abs(image.astype(float) - self.alone.get(prompt, 0.0)).mean()) / 255
            for image, prompt in zip(images, prompts, strict=True)
        ]


@pytest.fixture(scope="module")
def alone(tiny_learned: Path) -> dict[str, np.ndarray]:
    run = carry_out(spec_of(tiny_learned, prompts=PROMPTS, sharing={"tau": 0.0}))
    return {prompt: image.astype(float) for (prompt, _), image in run.pixels().items()}


@pytest.fixture
def likeness(alone: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> Likeness:
    judge = Likeness(alone)
    monkeypatch.setattr(Scorers, "of", lambda self, name: judge)
    return judge


def spec_with(
    model: Path, max_loss: float, storage: str, prompts: list[str] | dict[str, Any] = PROMPTS, **target: Any
) -> ImageSetSpec:
    quality = {"metric": "clip", "max_loss": max_loss, "sample": 16, **target}
    spec = spec_of(model, prompts=prompts, storage=storage)
    return spec.model_copy(
        update={"sharing": SharingSpec.model_validate({"quality": quality, "checkpoint_every": 0})}
    )


@pytest.fixture
def storage() -> str:
    return f"memory://{uuid.uuid4().hex}"


@pytest.mark.usefixtures("likeness")
def test_budgets_are_tried_from_safe_to_bold_up_to_the_first_that_fails(tiny_learned: Path, storage: str) -> None:
    run = carry_out(spec_with(tiny_learned, LOSS, storage))
    found = load_pilot(run.stage, run.compiled.document.pilot)
    assert found is not None
    assert [point.budget for point in found.points] == list(BUDGETS[: len(found.points)])
    assert [point.passed for point in found.points[:-1]] == [True] * (len(found.points) - 1)
    assert not found.points[-1].passed
    assert len(found.points) > 1
    assert found.tau == found.points[-2].tau == run.compiled.document.tau > 0
    assert all(np.diff([point.difference.estimate for point in found.points]) < 0)
    assert curve_of(run.stage, run.compiled.document) == PilotCurve("clip", LOSS, found.points)


@pytest.mark.usefixtures("likeness")
def test_where_nothing_may_be_lost_nothing_is_shared(tiny_learned: Path, storage: str) -> None:
    run = carry_out(spec_with(tiny_learned, 1e-9, storage))
    assert run.compiled.document.tau == 0.0
    assert run.compiled.document.planned == run.compiled.document.standard


@pytest.mark.usefixtures("likeness")
def test_a_pilot_is_on_the_account_and_its_steps_are_not_made_again(tiny_learned: Path, storage: str) -> None:
    ahead = look_ahead(stage_of(spec_with(tiny_learned, LOSS, storage)))
    assert ahead.pilot is None
    run = carry_out(spec_with(tiny_learned, LOSS, storage))
    books = audit(run.stage, run.compiled, run.assembled.rows).books
    assert books.problems == ()
    assert 0 < books.measured <= ahead.pilot_at_most
    assert books.executed == books.measured + books.planned - books.reused
    assert books.reused == books.planned  # all sixteen prompts were in the sample
    every = audit(run.stage, run.compiled, run.assembled.rows, whole_plan=True).books
    assert (every.measured, every.problems) == (books.measured, ())


@pytest.mark.usefixtures("likeness")
def test_what_a_pilot_executed_for_images_is_no_saving_of_the_run_that_made_them(
    tiny_learned: Path, storage: str
) -> None:
    prompts = [*PROMPTS, *(f"{text} by day" for text in PROMPTS[:2])]
    run = carry_out(spec_with(tiny_learned, LOSS, storage, prompts=prompts))
    made, (past,) = run.account.made, past_runs(run.stage.store.ledger.entries(), run.stage.spec.cost)
    assert made.executed > sum(entry.evaluations for entry in run.entries if entry.stage != MEASURED)
    assert (past.images, past.saved_evaluations) == (made.images, made.saved)


@pytest.mark.usefixtures("likeness")
def test_an_edit_keeps_what_the_pilot_found(tiny_learned: Path, storage: str) -> None:
    first = carry_out(spec_with(tiny_learned, LOSS, storage))
    second = carry_out(spec_with(tiny_learned, LOSS, storage, prompts=[*PROMPTS, "a pink hat on a cat"]))
    assert second.compiled.planted.growth is not None
    assert second.compiled.document.tau == first.compiled.document.tau
    assert second.compiled.document.pilot == first.compiled.document.pilot
    assert second.account.books.measured == 0
    assert look_ahead(second.stage).pilot is not None


@pytest.mark.usefixtures("likeness")
def test_the_tau_of_each_budget_is_sought_once(
    tiny_learned: Path, storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sought, real = list[float](), pilot_trial.tau_within
    pilot_trial._taus.cache_clear()

    def tau_within(budget: float, *arguments: Any) -> float:
        sought.append(budget)
        return real(budget, *arguments)

    monkeypatch.setattr(pilot_trial, "tau_within", tau_within)
    planned(stage_of(spec_with(tiny_learned, LOSS, storage)))
    assert len(sought) > 1
    assert sought == list(BUDGETS[: len(sought)])
    sought.clear()
    ahead = look_ahead(stage_of(spec_with(tiny_learned, LOSS / 2, storage, prompts=PROMPTS[1:])))
    assert ahead.pilot_at_most > 0
    assert len(sought) > 1
    assert sought == list(BUDGETS[: len(sought)])


def test_a_score_that_images_are_not_given_is_refused(tiny_learned: Path, storage: str) -> None:
    with pytest.raises(InputError, match=r"add it: scoring\.metrics: \[vqa\]"):
        planned(stage_of(spec_with(tiny_learned, 0.01, storage, metric="vqa")))


@pytest.mark.parametrize("also", [{"tau": 0.5}, {"budget": 0.5}])
def test_one_of_tau_budget_and_quality(also: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="each of them decides how much is shared"):
        SharingSpec.model_validate({"quality": {"max_loss": 0.1}, **also})


@pytest.mark.usefixtures("likeness")
def test_an_image_whose_pixels_are_not_finite_is_not_compared(
    tiny_learned: Path, storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil_first_image(monkeypatch)
    stage = stage_of(spec_with(tiny_learned, LOSS, storage))
    found = load_pilot(stage, planned(stage)[0].document.pilot)
    assert found is not None
    assert [point.pairs for point in found.points] == [len(PROMPTS) - 1] * len(found.points)


@pytest.mark.usefixtures("likeness")
def test_a_pilot_leaves_the_states_of_others_alone(tiny_learned: Path, storage: str) -> None:
    alone = carry_out(spec_of(tiny_learned, prompts=PROMPTS, storage=storage, sharing={"tau": 0.0}))
    before = alone.stage.store.states.sizes().keys()
    planned(stage_of(spec_with(tiny_learned, 60.0, storage)))
    assert alone.stage.store.states.sizes().keys() >= before


MORE = [f"{look} {prompt}" for look in ("a big", "a small") for prompt in PROMPTS]


@pytest.mark.usefixtures("likeness")
def test_a_sample_too_small_to_tell_is_refused_before_anything_is_made(tiny_learned: Path, storage: str) -> None:
    stage = stage_of(spec_with(tiny_learned, 0.05, storage, prompts=MORE))
    for ask in (check_input, look_ahead, planned):
        with pytest.raises(InputError, match=r"prompts lose at most 0\.05, even if .* sample at least 27") as caught:
            ask(stage)  # type: ignore[operator]
        assert caught.value.field == "sharing.quality.sample"
    assert not stage.store.states.sizes()


@pytest.mark.usefixtures("likeness")
def test_once_tau_is_found_the_set_may_outgrow_the_sample(tiny_learned: Path, storage: str) -> None:
    first = carry_out(spec_with(tiny_learned, 0.05, storage))
    grown = spec_with(tiny_learned, 0.05, storage, prompts=[*PROMPTS, *MORE])
    check_input(stage_of(grown))
    assert carry_out(grown).compiled.document.tau == first.compiled.document.tau


@pytest.mark.usefixtures("likeness")
@pytest.mark.parametrize("lost", [1, len(PROMPTS)])
def test_a_budget_at_which_an_image_fails_does_not_pass(
    tiny_learned: Path, storage: str, monkeypatch: pytest.MonkeyPatch, lost: int
) -> None:
    def lossy(stage: Stage, of: Any, prompts: PromptSet, arm: Arm, rows: Sequence[int]) -> dict[int, ArmImage]:
        found = arm_images(stage, of, prompts, arm, rows)
        return found if arm.name == STANDARD else dict(list(found.items())[lost:])

    monkeypatch.setattr("hierflow.stages.quality.pilot.arm_images", lossy)
    run = carry_out(spec_with(tiny_learned, 0.9, storage))
    found = load_pilot(run.stage, run.compiled.document.pilot)
    assert found is not None
    assert [(point.passed, point.missing, point.pairs) for point in found.points] == [(False, lost, len(PROMPTS))]
    assert run.compiled.document.tau == 0.0


@pytest.mark.usefixtures("likeness")
def test_prompts_that_fail_by_themselves_have_no_say(
    tiny_learned: Path, storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lossy(stage: Stage, of: Any, prompts: PromptSet, arm: Arm, rows: Sequence[int]) -> dict[int, ArmImage]:
        found = arm_images(stage, of, prompts, arm, rows)
        return {row: image for row, image in found.items() if row != 0}

    monkeypatch.setattr("hierflow.stages.quality.pilot.arm_images", lossy)
    run = carry_out(spec_with(tiny_learned, LOSS, storage))
    found = load_pilot(run.stage, run.compiled.document.pilot)
    assert found is not None
    assert {(point.missing, point.pairs) for point in found.points} == {(0, len(PROMPTS) - 1)}
    assert found.tau > 0


def test_rows_outside_of_the_sample_are_part_of_what_names_a_pilot(
    tiny_learned: Path, storage: str, tmp_path: Path
) -> None:
    """Which tau a budget has depends on every row's settings, not on those of the sample's alone."""
    names, drawn, table = set(), set(range(len(MORE))), tmp_path / "prompts.csv"
    for seed in (0, 1):
        rows = [f"{text},{0 if row in drawn else seed * row}" for row, text in enumerate(MORE)]
        table.write_text("\n".join(["prompt,seed", *rows]), "utf-8")
        stage = stage_of(spec_with(tiny_learned, 0.2, storage, prompts={"table": str(table)}))
        prompts = load_prompts(stage.spec.prompts, stage.base)
        compiled = fresh_plan(stage, prompts, embed(stage, prompts), 0.0)
        drawn = set(sample(compiled, prompts, 16))
        assert stage.spec.sharing.quality is not None
        names.add(trial_of(stage, compiled, prompts, stage.spec.sharing.quality).name)
    assert len(names) == 2


@pytest.mark.usefixtures("likeness")
def test_a_rebuild_is_priced_at_the_tau_that_was_found_with_its_pilot_beside_it(
    tiny_learned: Path, storage: str
) -> None:
    first = carry_out(spec_with(tiny_learned, 1e-9, storage))
    assert first.compiled.document.tau == 0.0
    same = look_ahead(stage_of(spec_with(tiny_learned, 1e-9, storage))).edit
    assert same is not None
    assert (same.rebuild, same.rebuild_pilot) == (0, 0)
    prompts = [*PROMPTS[1:], "a pink hat on a cat"]
    ahead = look_ahead(stage_of(spec_with(tiny_learned, 1e-9, storage, prompts=prompts)))
    assert ahead.edit is not None
    assert (ahead.edit.rebuild, ahead.edit.rebuild_changed) == (STEPS, 0)  # nothing is shared: only the new prompt
    assert ahead.edit.rebuild_pilot > len(prompts) * STEPS
    assert f"at this tau, which a pilot of at most {ahead.edit.rebuild_pilot:,} would find anew" in describe_plan(
        ahead
    )
