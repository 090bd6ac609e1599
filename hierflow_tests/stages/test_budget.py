"""`sharing.budget`: tau found for a share of the standard evaluations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hierflow.errors import InputError
from hierflow.spec import ImageSetSpec
from hierflow_tests.stages.runs import PROMPTS, carry_out, planned, spec_of, stage_of


def test_a_founding_plan_keeps_within_its_budget_and_hardly_saves_more(tiny_learned: Path) -> None:
    document = planned(stage_of(spec_of(tiny_learned, sharing={"tau": 1.0})))[0].document
    assert document.tau_from == {"tau": 1.0}
    budget = document.planned / document.standard
    found = planned(stage_of(budgeted(tiny_learned, budget)))[0].document
    assert found.planned / found.standard <= budget
    assert found.planned == document.planned
    assert found.tau <= document.tau
    assert found.tau_from == {"budget": budget}


def test_an_edit_keeps_the_tau_that_was_found(tiny_learned: Path, tmp_path: Path) -> None:
    first = carry_out(budgeted(tiny_learned, 0.8, storage=tmp_path))
    second = carry_out(budgeted(tiny_learned, 0.8, storage=tmp_path, prompts=[*PROMPTS, "a pink hat"]))
    assert second.compiled.document.tau == first.compiled.document.tau
    assert second.compiled.planted.growth is not None
    other = carry_out(budgeted(tiny_learned, 0.6, storage=tmp_path, prompts=[*PROMPTS, "a pink hat"]))
    assert other.compiled.document.tau > second.compiled.document.tau
    assert other.compiled.planted.growth is None  # another budget founds the tree anew


def test_a_budget_is_of_all_frontiers_together(tiny_learned: Path) -> None:
    prompts = {"template": "a {color} mug", "axes": {"color": ["red", "blue", "grey", "pink"], "seed": [0, 1]}}
    document = planned(stage_of(budgeted(tiny_learned, 0.7, prompts=prompts)))[0].document
    assert len(document.variants) == 2
    assert document.planned <= 0.7 * document.standard


def test_an_impossible_budget_is_refused_before_anything_is_denoised(tiny_learned: Path) -> None:
    stage = stage_of(budgeted(tiny_learned, 0.01))
    with pytest.raises(InputError, match=r"sharing\.budget"):
        planned(stage)
    assert stage.store.plans.current() is None


def budgeted(model: Path, budget: float, **settings: Any) -> ImageSetSpec:
    spec = spec_of(model, **settings)
    sharing = {"budget": budget, "checkpoint_every": 0}
    return spec.model_copy(update={"sharing": type(spec.sharing).model_validate(sharing)})
