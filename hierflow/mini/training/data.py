"""Draw the training pictures: two .npy files, drawn once and then read through memory maps."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np

from hierflow.mini.catalogue.backgrounds import PICTURE_SIZE
from hierflow.mini.catalogue.grammar import ATTRIBUTE_NAMES
from hierflow.mini.training.pictures import PictureSet, draw_pictures
from hierflow.mini.training.rows import Columns, GrowingArrays
from hierflow.mini.training.work import Run

COUNT: Final = 120_000
CHUNK_SIZE: Final = 100
MOST_PROCESSES: Final = 16


def _draw_chunk(index: int) -> PictureSet:
    return draw_pictures(CHUNK_SIZE, seed=1000 + index)


def write_pictures(folder: Path, count: int, processes: int) -> None:
    """Draw `count` training pictures into `folder`, going on where an earlier call was stopped."""
    columns: Columns = {
        "images": ((PICTURE_SIZE, PICTURE_SIZE, 3), np.uint8),
        "attributes": ((len(ATTRIBUTE_NAMES),), np.int64),
    }
    arrays = GrowingArrays(folder, count, columns)
    chunks = range(arrays.done // CHUNK_SIZE, -(-count // CHUNK_SIZE))
    # Not forked: a lock that one of torch's threads holds at that moment would never open in the new process. And an
    # executor, as a pool waits without end for a process that was killed.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as executor:
        drawn = executor.map(_draw_chunk, chunks)
        arrays.fill("pictures", ({"images": one.images, "attributes": one.attributes} for one in drawn))


def train(run: Run) -> None:
    """Write `pictures/`."""
    write_pictures(run.work.picture_folder, run.scaled(COUNT), min(MOST_PROCESSES, os.cpu_count() or 1))
