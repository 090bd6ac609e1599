"""Large arrays on disk that are made chunk by chunk, and gone on with after an interruption."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from hierflow.progress import duration

LOG_SECONDS: Final = 10.0

Columns = dict[str, tuple[tuple[int, ...], type[Any]]]
"""Of arrays by name: the shape of a row, and its type."""

_log = logging.getLogger(__name__)


class GrowingArrays:
    """Arrays of equally many rows, `name.npy` each, that are filled from the front.

    `done.json` counts the rows that are there for good; it is written after them.
    """

    def __init__(self, folder: Path, rows: int, columns: Columns) -> None:
        """Make the files, or open them where they are. `columns` gives each name its row's shape and type."""
        folder.mkdir(parents=True, exist_ok=True)
        self.rows, self._count = rows, folder / f"{'_'.join(columns)}.json"
        self.done = int(json.loads(self._count.read_text("utf-8"))) if self._count.exists() else 0
        self._arrays: dict[str, NDArray[Any]] = {}
        for name, (shape, kind) in columns.items():
            path = folder / f"{name}.npy"
            wanted: dict[str, Any] = {} if self.done else {"dtype": kind, "shape": (rows, *shape)}
            self._arrays[name] = open_memmap(path, mode="r+" if self.done else "w+", **wanted)

    def fill(self, label: str, chunks: Iterable[dict[str, NDArray[Any]]]) -> None:
        """Append chunks until all rows are there; the first goes to row `done`."""
        first, began, said = self.done, time.monotonic(), time.monotonic()
        for chunk in chunks:
            size = min(len(next(iter(chunk.values()))), self.rows - self.done)
            for name, values in chunk.items():
                self._arrays[name][self.done : self.done + size] = values[:size]
                self._arrays[name].flush()  # type: ignore[attr-defined]
            self.done += size
            fresh = self._count.with_suffix(".new")
            fresh.write_text(json.dumps(self.done), "utf-8")
            fresh.replace(self._count)
            now = time.monotonic()
            if now - said > LOG_SECONDS or self.done == self.rows:
                said, speed = now, (self.done - first) / max(now - began, 1e-9)
                left = duration((self.rows - self.done) / speed)
                done = f"{self.done:,} / {self.rows:,}"
                _log.info("%s: %s, %.0f a second, %s left", label, done, speed, left)


def read_rows(folder: Path, name: str) -> NDArray[Any]:
    """Open an array that is complete, through a memory map."""
    array: NDArray[Any] = np.load(folder / f"{name}.npy", mmap_mode="r")
    return array
