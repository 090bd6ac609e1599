"""`sharing.quality`: tau found by a pilot."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hierflow.errors import InputError
from hierflow.scoring.choice import Scorers
from hierflow.spec import ImageSetSpec, SharingSpec
from hierflow.stages.auditing import audit
from hierflow.stages.outlook import look_ahead
from hierflow.stages.pilot import BUDGETS, load_pilot
from hierflow_tests.stages.runs import carry_out, planned, spec_of, spoil_first_image, stage_of

PROMPTS = [
    f"{color} {thing}" for color in ("red", "blue", "green", "pink") for thing in ("mug", "hat", "cat", "fish")
]
STEPS = 6


class Likeness:
    """A judge that scores an image by how far it is from what the prompt alone gives."""

    name, version = "clip_similarity", "likeness"

    def __init__(self, alone: dict[str, np.ndarray]) -> None:
        self.alone = alone

    def score(self, images: Sequence[np.ndarray], prompts: Sequence[str]) -> list[float]:
        return [
            -float(np.abs(image.astype(float) - self.alone.get(prompt, 0.0)).mean())
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
    model: Path, max_loss: float, storage: str, prompts: list[str] = PROMPTS, **target: Any
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
    run = carry_out(spec_with(tiny_learned, 60.0, storage))
    found = load_pilot(run.stage, run.compiled.document.pilot)
    assert found is not None
    assert [point.budget for point in found.points] == list(BUDGETS[: len(found.points)])
    assert [point.passed for point in found.points[:-1]] == [True] * (len(found.points) - 1)
    assert not found.points[-1].passed
    assert len(found.points) > 1
    assert found.tau == found.points[-2].tau == run.compiled.document.tau > 0
    assert all(np.diff([point.difference.estimate for point in found.points]) < 0)


@pytest.mark.usefixtures("likeness")
def test_where_nothing_may_be_lost_nothing_is_shared(tiny_learned: Path, storage: str) -> None:
    run = carry_out(spec_with(tiny_learned, 1e-9, storage))
    assert run.compiled.document.tau == 0.0
    assert run.compiled.document.planned == run.compiled.document.standard


@pytest.mark.usefixtures("likeness")
def test_a_pilot_is_on_the_account_and_its_steps_are_not_made_again(tiny_learned: Path, storage: str) -> None:
    ahead = look_ahead(stage_of(spec_with(tiny_learned, 60.0, storage)))
    assert ahead.pilot is None
    run = carry_out(spec_with(tiny_learned, 60.0, storage))
    books = audit(run.stage, run.compiled, run.assembled.rows).books
    assert books.problems == ()
    assert 0 < books.measured <= ahead.pilot_at_most
    assert books.executed == books.measured + books.planned - books.reused
    assert books.reused == books.planned  # all sixteen prompts were in the sample
    every = audit(run.stage, run.compiled, run.assembled.rows, whole_plan=True).books
    assert (every.measured, every.problems) == (books.measured, ())


@pytest.mark.usefixtures("likeness")
def test_an_edit_keeps_what_the_pilot_found(tiny_learned: Path, storage: str) -> None:
    first = carry_out(spec_with(tiny_learned, 60.0, storage))
    second = carry_out(spec_with(tiny_learned, 60.0, storage, prompts=[*PROMPTS, "a pink hat on a cat"]))
    assert second.compiled.planted.growth is not None
    assert second.compiled.document.tau == first.compiled.document.tau
    assert second.compiled.document.pilot == first.compiled.document.pilot
    assert second.account.books.measured == 0
    assert look_ahead(second.stage).pilot is not None


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
    stage = stage_of(spec_with(tiny_learned, 60.0, storage))
    found = load_pilot(stage, planned(stage)[0].document.pilot)
    assert found is not None
    assert [point.pairs for point in found.points] == [len(PROMPTS) - 1] * len(found.points)


@pytest.mark.usefixtures("likeness")
def test_a_pilot_leaves_the_states_of_others_alone(tiny_learned: Path, storage: str) -> None:
    alone = carry_out(spec_of(tiny_learned, prompts=PROMPTS, storage=storage, sharing={"tau": 0.0}))
    before = alone.stage.store.states.sizes().keys()
    planned(stage_of(spec_with(tiny_learned, 60.0, storage)))
    assert alone.stage.store.states.sizes().keys() >= before
