"""Arrays are kept in the smallest type that gives every bit back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hierflow.store.narrow import narrowed

DRAWN = np.random.default_rng(0).normal(size=(6, 9))
BRAIN = torch.from_numpy(DRAWN).to(torch.bfloat16).float().numpy()
HALF = DRAWN.astype(np.float16).astype(np.float32)
SINGLE = DRAWN.astype(np.float32)
EXTREMES = np.array([0.0, -0.0, 1e38, -1e-38, 65504.0, 1e-45, 3.4e38], dtype=np.float32)


@pytest.mark.parametrize(
    ("array", "kind", "size"),
    [
        (BRAIN, "bfloat16", 2),
        (HALF, "float16", 2),
        (SINGLE, "float32", 4),
        (DRAWN, "float64", 8),
        (SINGLE.astype(np.float64), "float32", 4),
        (HALF.astype(np.float64), "float16", 2),
        (BRAIN.T, "bfloat16", 2),
        (EXTREMES, "float32", 4),
        (EXTREMES[:2], "bfloat16", 2),
        (np.array([65504.0, 6e-8], dtype=np.float32), "float32", 4),
        (np.arange(5), "int64", 8),
    ],
)
def test_every_bit_comes_back(array: np.ndarray, kind: str, size: int) -> None:
    narrow = narrowed(array)
    assert (narrow.kind, narrow.array.itemsize) == (kind, size)
    again = narrow.wide()
    assert (again.dtype, again.shape) == (array.dtype, array.shape)
    assert again.tobytes() == np.ascontiguousarray(array).tobytes()
