"""The batch that fits is found once, remembered, said and recorded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from hierflow.errors import InputError
from hierflow.models.registry import open_model
from hierflow.models.runtime import resolve_runtime
from hierflow.spec import DiffusionSpec
from hierflow_tests.stages.runs import Run, carried_out, spec_of, stage_of

FITS = 5  # network rows, so 2 nodes with guidance


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIERFLOW_CACHE", str(tmp_path / "cache"))


def run_in_little_memory(folder: Path, **settings: Any) -> tuple[Run, list[int], list[str]]:
    """A run in a new process, the network rows it tried, and what it said."""
    said: list[str] = []
    stage = replace(stage_of(spec_of(folder, **{"deterministic": False, "sharing": {"tau": 0.0}, **settings})))
    stage = replace(stage, say=said.append)
    tried: list[int] = []

    def full(module: Any, args: Any, kwargs: Any) -> None:
        tried.append(len(kwargs["sample"]))
        if tried[-1] > FITS:
            raise torch.OutOfMemoryError("simulated")

    stage.adapter.network.register_forward_pre_hook(full, with_kwargs=True)
    return carried_out(stage), tried, [sentence for sentence in said if "memory" in sentence]


def largest_of(run: Run) -> list[int]:
    return [entry.largest_batch for entry in run.entries if entry.stage == "partition"]


def test_the_next_run_starts_with_what_fitted(tiny_learned: Path) -> None:
    first, tried, said = run_in_little_memory(tiny_learned)
    assert max(tried) > FITS
    assert said[-1] == ("memory ran out, so the denoiser sees 2 at once from now on; the next run starts with that")
    second, tried, said_again = run_in_little_memory(tiny_learned)
    assert max(tried) <= FITS
    assert said_again == []
    assert largest_of(first) == largest_of(second) == [2]


def test_what_fitted_at_one_size_says_nothing_of_another(tiny_learned: Path) -> None:
    run_in_little_memory(tiny_learned)
    _, tried, _ = run_in_little_memory(tiny_learned, height=32, width=32)
    assert max(tried) > FITS


def test_a_number_is_tried_whatever_fitted_before(tiny_learned: Path) -> None:
    run_in_little_memory(tiny_learned)
    run, tried, said = run_in_little_memory(tiny_learned, batch_size=4)
    assert max(tried) == 6  # 6 nodes in two batches of 3
    assert said == ["memory ran out, so the denoiser sees 2 at once from now on; set diffusion.batch_size to it"]
    assert largest_of(run) == [2]


@pytest.mark.parametrize("content", ["[]", '{"x": -1}', '{"x": "many"}', "{"])
def test_a_broken_memory_is_none(tiny_learned: Path, tmp_path: Path, content: str) -> None:
    pace = stage_of(spec_of(tiny_learned, deterministic=False, sharing={"tau": 0.0})).pace
    (tmp_path / "cache").mkdir(exist_ok=True)
    (tmp_path / "cache" / "batches.json").write_text(content.replace("x", pace))
    assert largest_of(run_in_little_memory(tiny_learned)[0]) == [2]


def test_a_number_is_the_fixed_batch_where_bits_are_promised(tiny_learned: Path) -> None:
    def identity(**settings: Any) -> Any:
        spec = DiffusionSpec(model=str(tiny_learned), steps=3, **settings)
        return open_model(spec, Path()).identity

    assert identity(batch_size=3).fixed_batch == 3
    assert identity(batch_size=3).root(0) != identity().root(0) == identity(batch_size="auto").root(0)
    loose = [identity(deterministic=False, **size).root(0) for size in ({}, {"batch_size": 3})]
    assert loose[0] == loose[1]
    assert resolve_runtime(DiffusionSpec(deterministic=False, batch_size=3)).largest_batch == 3


@pytest.mark.parametrize("size", [0, -1, 2.5, True, "all", None])
def test_a_batch_of_another_size_is_refused(size: Any) -> None:
    from hierflow.document import validated

    with pytest.raises(InputError, match=r"^batch_size: .* is neither auto nor a whole number of at least 1; "):
        validated(DiffusionSpec, {"batch_size": size})
