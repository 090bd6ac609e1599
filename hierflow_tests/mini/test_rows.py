"""Large arrays are made chunk by chunk, and gone on with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hierflow.mini.training.data import CHUNK_SIZE, write_pictures
from hierflow.mini.training.pictures import draw_pictures, read_pictures
from hierflow.mini.training.rows import Columns, GrowingArrays, read_rows

COLUMNS: Columns = {"squares": ((2,), np.int64), "halves": ((), np.float32)}


def chunks(first: int, last: int) -> Iterator[dict[str, np.ndarray]]:
    for start in range(first, last, 4):
        rows = np.arange(start, start + 4)
        yield {"squares": np.stack([rows, rows**2], axis=1), "halves": rows / 2}


def test_an_interrupted_array_is_gone_on_with(tmp_path: Path) -> None:
    def torn() -> Iterator[dict[str, np.ndarray]]:
        yield from chunks(0, 8)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        GrowingArrays(tmp_path, 10, COLUMNS).fill("rows", torn())
    again = GrowingArrays(tmp_path, 10, COLUMNS)
    assert again.done == 8
    again.fill("rows", chunks(8, 12))
    np.testing.assert_array_equal(read_rows(tmp_path, "squares")[:, 1], np.arange(10) ** 2)
    np.testing.assert_array_equal(read_rows(tmp_path, "halves"), np.arange(10) / 2)


def test_training_pictures_are_those_of_their_seeds_and_never_held_out_ones(tmp_path: Path) -> None:
    write_pictures(tmp_path, CHUNK_SIZE + 5, processes=1)
    pictures = read_pictures(tmp_path)
    assert len(pictures) == CHUNK_SIZE + 5
    second = draw_pictures(5, seed=1001)
    np.testing.assert_array_equal(pictures.attributes[CHUNK_SIZE:], second.attributes)
