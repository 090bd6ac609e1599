"""What training pictures suffer, so that a network does not rely on what generated ones lack."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hierflow.mini.catalogue.backgrounds import PICTURE_SIZE

LARGEST_SHIFT: Final = 3
BLUR_CHANCE: Final = 0.4
STRONGEST_NOISE: Final = 0.08
DAMAGE_CHANCE: Final = 0.5
TINT: Final = 0.07
LIGHT: Final = 0.05
STRONGEST_DAMAGE: Final = 0.2


def jitter(pictures: Tensor, rng: np.random.Generator, *, mirror: bool) -> Tensor:
    """Shift a batch by up to three pixels and, if asked, mirror half of it, as the world itself does."""
    if mirror:
        flipped = torch.from_numpy(rng.random(len(pictures)) < 0.5)
        pictures = torch.where(flipped[:, None, None, None], pictures.flip(3), pictures)
    right, down = (int(shift) for shift in rng.integers(0, 2 * LARGEST_SHIFT + 1, 2))
    padded = functional.pad(pictures, (LARGEST_SHIFT,) * 4, mode="replicate")
    return padded[:, :, down : down + PICTURE_SIZE, right : right + PICTURE_SIZE]


def degrade(pictures: Tensor, rng: np.random.Generator) -> Tensor:
    """Blur some batches and add a little noise, so that a generated picture's softness is no obstacle."""
    if rng.random() < BLUR_CHANCE:
        pictures = blur(pictures, float(rng.uniform(0.5, 0.9)))
    return pictures + torch.randn_like(pictures) * float(rng.uniform(0, STRONGEST_NOISE))


def damage(pictures: Tensor, rng: np.random.Generator) -> Tensor:
    """Tint every picture, blur half of the batches, some of them heavily, and add noise, mostly a little.

    Answers about pictures in which less can be seen have to become less sure.
    """
    tint = rng.uniform(1 - TINT, 1 + TINT, (len(pictures), 3, 1, 1)).astype(np.float32)
    light = rng.uniform(-LIGHT, LIGHT, (len(pictures), 1, 1, 1)).astype(np.float32)
    pictures = (pictures + 1) * torch.from_numpy(tint) - 1 + torch.from_numpy(light)
    if rng.random() < DAMAGE_CHANCE:
        pictures = blur(pictures, float(rng.uniform(0.3, 0.95)))
    return pictures + torch.randn_like(pictures) * STRONGEST_DAMAGE * float(rng.uniform(0, 1)) ** 2


def blur(pictures: Tensor, scale: float) -> Tensor:
    """Send pictures through `scale` times their size."""
    small = functional.interpolate(pictures, scale_factor=scale, mode="bilinear")
    return functional.interpolate(small, size=PICTURE_SIZE, mode="bilinear")
