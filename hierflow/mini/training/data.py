"""The training pictures on disk: two .npy files, drawn once and then read through memory maps."""

from __future__ import annotations

from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hierflow.mini.catalogue.backgrounds import PICTURE_SIZE
from hierflow.mini.catalogue.grammar import ATTRIBUTE_NAMES, Attributes, random_attributes
from hierflow.mini.catalogue.render import render
from hierflow.mini.pixels import to_signed_floats
from hierflow.mini.training.rows import GrowingArrays, read_rows

CHUNK_SIZE: Final = 500


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


def _draw_chunk(index: int) -> PictureSet:
    return draw_pictures(CHUNK_SIZE, seed=1000 + index)


def write_pictures(folder: Path, count: int, processes: int = 2) -> None:
    """Draw `count` training pictures into `folder`, going on where an earlier call was stopped."""
    columns = {
        "images": ((PICTURE_SIZE, PICTURE_SIZE, 3), np.uint8),
        "attributes": ((len(ATTRIBUTE_NAMES),), np.int64),
    }
    arrays = GrowingArrays(folder, count, columns)
    chunks = range(arrays.done // CHUNK_SIZE, -(-count // CHUNK_SIZE))
    with Pool(processes) as pool:
        drawn = pool.imap(_draw_chunk, chunks)
        arrays.fill("pictures", ({"images": one.images, "attributes": one.attributes} for one in drawn))


def read_pictures(folder: Path) -> PictureSet:
    """Open the pictures that `write_pictures` left in `folder`."""
    return PictureSet(read_rows(folder, "images"), np.asarray(read_rows(folder, "attributes")))
