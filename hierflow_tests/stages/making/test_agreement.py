"""A plan is executed with the model and settings that name its states, or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hierflow.errors import RunError
from hierflow.stages.making.images import make_partition
from hierflow.stages.making.latents import denoise_trunk
from hierflow_tests.stages.runs import assert_equal, carried_out, carry_out, planned, spec_of, stage_of


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        ({"seed": 1}, "sampling"),
        ({"guidance_scale": 2.0}, "sampling"),
        ({"scheduler": "ddim"}, "sampling"),
        ({"deterministic": False}, "sampling"),
        ({"prior_seed": 1}, "text encoder and prior"),
        ({"dtype": "bfloat16"}, "decoder"),
    ],
)
def test_a_stale_document_cannot_execute_the_plan_of_an_edited_one(
    tiny_learned: Path, tmp_path: Path, edit: dict[str, Any], named: str
) -> None:
    edited = stage_of(spec_of(tiny_learned, storage=tmp_path, **edit))
    compiled, prompts = planned(edited)
    stale = stage_of(spec_of(tiny_learned, storage=tmp_path))
    keys = compiled.document.keys
    with pytest.raises(RunError, match=f"was made for another.* {named}.*plan again"):
        denoise_trunk(stale, compiled, prompts, keys)
    with pytest.raises(RunError, match=named):
        make_partition(stale, compiled, prompts, keys[0])
    assert stale.store.files.list("states") == stale.store.files.list("records") == []


def test_what_a_stale_document_tried_does_no_harm(tiny_learned: Path, tmp_path: Path) -> None:
    spec = spec_of(tiny_learned, storage=tmp_path, seed=1)
    compiled, prompts = planned(stage_of(spec))
    with pytest.raises(RunError):
        make_partition(
            stage_of(spec_of(tiny_learned, storage=tmp_path)), compiled, prompts, compiled.document.keys[0]
        )
    made = carried_out(stage_of(spec))
    assert made.account.books.problems == ()
    assert_equal(made.pixels(), carry_out(spec_of(tiny_learned, seed=1)).pixels())


def test_edits_that_leave_the_model_alone_do_not_stand_in_the_way(tiny_learned: Path, tmp_path: Path) -> None:
    compiled, prompts = planned(stage_of(spec_of(tiny_learned, storage=tmp_path)))
    other = spec_of(tiny_learned, storage=tmp_path, prompts=["else"], sharing={"tau": 0.1}, images_per_prompt=2)
    record = make_partition(stage_of(other), compiled, prompts, compiled.document.keys[0])
    assert record.complete
