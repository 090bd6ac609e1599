"""Drawn pictures with their attributes, in memory or on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hierflow.mini.catalogue.grammar import Attributes, random_attributes
from hierflow.mini.catalogue.render import render
from hierflow.mini.pixels import to_signed_floats
from hierflow.mini.training.rows import read_rows


@dataclass(frozen=True)
class PictureSet:
    """Pictures (N, 64, 64, 3) in 0..255 with their attributes (N, 5)."""

    images: NDArray[np.uint8]
    attributes: NDArray[np.int64]

    def __len__(self) -> int:
        """Count the pictures."""
        return len(self.images)

    def sample(self, size: int, rng: np.random.Generator) -> tuple[Tensor, list[Attributes], Tensor]:
        """Draw a batch with replacement: pictures in -1..1, their attributes, and these as a tensor (size, 5)."""
        # Sorted rows are read from the memory map in one sweep.
        rows = np.sort(rng.integers(0, len(self), size))
        attributes = self.attributes[rows]
        return (
            to_signed_floats(self.images[rows]),
            [Attributes(*map(int, row)) for row in attributes],
            torch.from_numpy(attributes),
        )


def draw_pictures(count: int, seed: int, *, held_out: bool = False) -> PictureSet:
    """Draw pictures of evenly chosen combinations, in memory."""
    rng = np.random.default_rng(seed)
    attributes = [random_attributes(rng, held_out=held_out) for _ in range(count)]
    return PictureSet(np.stack([render(row, rng) for row in attributes]), np.array(attributes, np.int64))


def read_pictures(folder: Path) -> PictureSet:
    """Open the pictures that the stage `data` left in `folder`."""
    return PictureSet(read_rows(folder, "images"), np.asarray(read_rows(folder, "attributes")))
