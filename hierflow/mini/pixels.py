"""Pictures as bytes and as tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


def to_signed_floats(images: NDArray[np.uint8]) -> Tensor:
    """Turn pictures (N, 64, 64, 3) in 0..255 into a tensor (N, 3, 64, 64) in -1..1."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(images, -1, 1), np.float32)) / 127.5 - 1


def to_bytes(pictures: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Turn pictures in 0..1 into bytes."""
    return np.clip(np.round(pictures * 255), 0, 255).astype(np.uint8)
