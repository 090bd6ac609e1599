"""Where runs lie: a folder each, written whole, so that a run that is there is done."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.experiments.making import Made

COLUMNS: Final = 25
"""Images of a sheet, side by side."""


@dataclass(frozen=True)
class Kept:
    """A run that is done.

    Attributes:
        folder: with `images.png` (one sheet, lossless), `rows.parquet` (prompt, image_index, group), `run.json`, and
            what each measure said of the images.
    """

    folder: Path

    @cached_property
    def about(self) -> dict[str, Any]:
        """Evaluations, tau, seconds."""
        found: dict[str, Any] = json.loads((self.folder / "run.json").read_text("utf-8"))
        return found

    @cached_property
    def rows(self) -> dict[str, list[Any]]:
        """Prompt, image_index and group, a value an image."""
        found: dict[str, list[Any]] = pq.read_table(self.folder / "rows.parquet").to_pydict()
        return found

    @property
    def images(self) -> npt.NDArray[np.uint8]:
        """(N, H, W, 3)."""
        sheet = np.asarray(Image.open(self.folder / "images.png"))
        count, side = len(self.rows["prompt"]), sheet.shape[1] // COLUMNS
        lines = sheet.reshape(-1, side, COLUMNS, side, 3)
        return np.moveaxis(lines, 2, 1).reshape(-1, side, side, 3)[:count]

    def has(self, measure: str) -> bool:
        """Whether a measure has seen the images."""
        return (self.folder / f"{measure}.parquet").exists()

    def scores(self, measure: str) -> dict[str, npt.NDArray[np.float64]]:
        """(N,) each, what a measure said, by its columns; NaN where it had nothing to say."""
        table = pq.read_table(self.folder / f"{measure}.parquet")
        return {name: table.column(name).to_numpy().astype(np.float64) for name in table.column_names}

    def vectors(self, measure: str) -> npt.NDArray[np.float64]:
        """(N, D) what a measure sees in each image."""
        with np.load(self.folder / f"{measure}.npz") as kept:
            return np.asarray(kept["vectors"], np.float64)

    def keep(
        self,
        measure: str,
        scores: dict[str, npt.NDArray[np.float64]],
        vectors: npt.NDArray[np.floating[Any]] | None = None,
    ) -> None:
        """Keep what a measure said; the scores come last, since with them it is done."""
        if vectors is not None:
            np.savez(self.folder / f"{measure}.npz", vectors=vectors.astype(np.float32))
        partial = self.folder / f"{measure}.partial"
        pq.write_table(pa.table(scores), partial)
        os.replace(partial, self.folder / f"{measure}.parquet")


def keep_run(folder: Path, made: Made) -> Kept:
    """Write a run to `folder`."""
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    Image.fromarray(_sheet(made.images)).save(partial / "images.png")
    rows = {"prompt": made.prompts, "image_index": made.image_index, "group": made.group}
    pq.write_table(pa.table(rows), partial / "rows.parquet")
    about = {"evaluations": made.evaluations, "tau": made.tau, "seconds": made.seconds}
    (partial / "run.json").write_text(json.dumps(about), "utf-8")
    os.replace(partial, folder)
    return Kept(folder)


def _sheet(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    count, side = len(images), images.shape[1]
    full = np.zeros((-(-count // COLUMNS) * COLUMNS, *images.shape[1:]), np.uint8)
    full[:count] = images
    lines = np.moveaxis(full.reshape(-1, COLUMNS, side, side, 3), 2, 1)
    return lines.reshape(-1, COLUMNS * side, 3)
