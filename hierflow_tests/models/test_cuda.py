"""On a GPU in half precision a set is, within rounding, what a CPU makes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hierflow_tests.stages.runs import carried_out, carry_out, spec_of, stage_of
from hierflow_tests.tiny_models import SIZE, save_tiny_stable_diffusion

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

BALLAST = 256 << 20
"""Bytes that make each part of a tiny model larger than all it does."""


@pytest.mark.parametrize("settings", [{}, {"channels_last": True}, {"offload": "layers"}, {"offload": "none"}])
def test_half_precision_on_cuda_is_close_to_a_cpu(tmp_path: Path, settings: dict[str, object]) -> None:
    folder = save_tiny_stable_diffusion(tmp_path)
    common = {"height": SIZE, "width": SIZE, "scheduler": "ddim", "guidance_scale": 2.0}
    there = carry_out(spec_of(folder, **common, device="cuda", dtype="float16", **settings))
    here = carry_out(spec_of(folder, **common, device="cpu", **settings))
    assert there.account.books.executed == here.account.books.executed
    assert there.account.books.problems == ()
    made, expected = there.pixels(), here.pixels()
    for key, image in expected.items():
        off = np.abs(made[key].astype(int) - image.astype(int))
        assert off.mean() < 8.0, key
        assert off.mean() < np.abs(image.astype(int) - image.mean()).mean() / 4


@pytest.mark.parametrize(("offload", "parts"), [("parts", 1), ("none", 3)])
def test_the_peak_of_memory_is_that_of_one_part(tmp_path: Path, offload: str, parts: int) -> None:
    spec = spec_of(save_tiny_stable_diffusion(tmp_path), height=SIZE, width=SIZE, device="cuda", offload=offload)
    stage = stage_of(spec)
    loaded = stage.adapter.loaded  # type: ignore[attr-defined]
    for network in (loaded.encoder.text_encoder, loaded.denoiser.unet, loaded.denoiser.vae):
        network.register_buffer("ballast", torch.zeros(BALLAST, dtype=torch.uint8))
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    carried_out(stage)
    peak = torch.cuda.max_memory_allocated() - before
    assert parts * BALLAST <= peak < (parts + 0.5) * BALLAST
