"""The GPU benchmark at toy size: its three runs compute the same set, and its table says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.denoising import sample_prompts
from benchmarks.gpu import COLUMNS, Bench, main
from benchmarks.gpu_models import MODELS


@pytest.mark.parametrize("name", MODELS)
def test_the_releases_loop_makes_the_latents_of_the_hierarchical_run(name: str, tmp_path: Path) -> None:
    bench = Bench(MODELS[name](toy=True), sample_prompts(12), tmp_path, "cpu")
    assert bench.compiled.plan.is_split.any()
    row = bench.hierarchical()
    (lane,) = bench.compiled.lanes
    with torch.inference_mode():
        made = bench.released_latents(5)
    assert len(made) == 12
    for leaf, latents in made.items():
        stored = bench.stage.store.states.load(lane.ids.final(leaf))
        assert stored is not None
        torch.testing.assert_close(latents, stored[0]["latents"], rtol=1e-3, atol=1e-3)
    assert row.evaluations == bench.compiled.plan.evaluations < 12 * bench.model.steps
    assert bench.flops() > 0


def test_batches_that_do_not_fit_are_found_out_before_anything_is_measured(tmp_path: Path) -> None:
    bench = Bench(MODELS["sdxl"](toy=True), sample_prompts(12), tmp_path, "cpu")

    def full(module: Any, args: Any, kwargs: Any) -> None:
        if len(args[0]) > 6:
            raise torch.OutOfMemoryError("simulated")

    bench.adapter.network.register_forward_pre_hook(full, with_kwargs=True)
    assert bench.fit() == 2
    assert bench.network_seconds() > 0
    assert bench.hierarchical().padding == 0


def test_the_table_has_a_line_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--toy", "sdxl"])
    title, _, head, _, *lines = capsys.readouterr().out.splitlines()
    assert "CPU" in title
    assert torch.__version__ in title
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [len(row) for row in cells] == [len(COLUMNS)] * 3 == [head.count("|") - 1] * 3
    plain, hierarchical, released = (dict(zip(COLUMNS, row, strict=True)) for row in cells)
    assert plain["evaluations"] == "48"
    assert plain["over pipeline"] == "1.000"
    assert hierarchical["evaluations"] == released["evaluations"]
    for row in (hierarchical, released):
        share = int(row["evaluations"]) / 48
        promised = float(plain["seconds"]) * share
        assert float(row["over pipeline"]) == pytest.approx(float(row["seconds"]) / promised, rel=0.1)
