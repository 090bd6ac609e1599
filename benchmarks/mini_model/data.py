"""The training pictures on disk: two .npy files, drawn once and then read through memory maps.

python -m benchmarks.mini_model.data --work DIR [--count 120000] [--processes 2]
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from benchmarks.mini_model.backgrounds import PICTURE_SIZE
from benchmarks.mini_model.classifier import to_signed_floats
from benchmarks.mini_model.grammar import ATTRIBUTE_NAMES, Attributes, random_attributes
from benchmarks.mini_model.render import render

CHUNK_SIZE: Final = 500
LARGEST_SHIFT: Final = 3


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
    """Draw `count` training pictures, rounded up to whole chunks of 500, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    chunks = -(-count // CHUNK_SIZE)
    shape = (chunks * CHUNK_SIZE, PICTURE_SIZE, PICTURE_SIZE, 3)
    images = open_memmap(folder / "images.npy", mode="w+", dtype=np.uint8, shape=shape)
    attributes = np.zeros((len(images), len(ATTRIBUTE_NAMES)), np.int64)
    with Pool(processes) as pool:
        for index, chunk in enumerate(pool.imap(_draw_chunk, range(chunks))):
            rows = slice(index * CHUNK_SIZE, (index + 1) * CHUNK_SIZE)
            images[rows], attributes[rows] = chunk.images, chunk.attributes
    images.flush()
    np.save(folder / "attributes.npy", attributes)


def read_pictures(folder: Path) -> PictureSet:
    """Open the pictures that `write_pictures` left in `folder`."""
    return PictureSet(np.load(folder / "images.npy", mmap_mode="r"), np.load(folder / "attributes.npy"))


def jitter(pictures: Tensor, rng: np.random.Generator, *, mirror: bool) -> Tensor:
    """Shift a batch by up to three pixels and, if asked, mirror half of it, as the world itself does."""
    if mirror:
        flipped = torch.from_numpy(rng.random(len(pictures)) < 0.5)
        pictures = torch.where(flipped[:, None, None, None], pictures.flip(3), pictures)
    right, down = (int(shift) for shift in rng.integers(0, 2 * LARGEST_SHIFT + 1, 2))
    padded = functional.pad(pictures, (LARGEST_SHIFT,) * 4, mode="replicate")
    return padded[:, :, down : down + PICTURE_SIZE, right : right + PICTURE_SIZE]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="work folder of the recipe")
    parser.add_argument("--count", type=int, default=120_000)
    parser.add_argument("--processes", type=int, default=2)
    options: Any = parser.parse_args(arguments)
    write_pictures(options.work / "pictures", options.count, options.processes)


if __name__ == "__main__":
    main()
