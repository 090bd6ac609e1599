"""On a GPU in half precision a set is, within rounding, what a CPU makes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hierflow_tests.stages.runs import carry_out, spec_of
from hierflow_tests.tiny_models import SIZE, save_tiny_stable_diffusion

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


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
