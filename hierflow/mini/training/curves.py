"""What a training did: a table of its losses that survives interruptions, lines that say how far it is, a picture."""

from __future__ import annotations

import csv
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from hierflow.progress import duration

COLUMNS: Final = ("step", "loss", "rate", "seconds")
SMOOTHED_ROWS: Final = 10

_log = logging.getLogger(__name__)


class Curve:
    """Appends a row of `COLUMNS` to a CSV file and says how far the training is.

    Attributes:
        name: of the file and in the lines.
    """

    def __init__(self, path: Path, step: int, steps: int) -> None:
        """Go on at `step` of `steps`: rows of later steps, which are to be trained again, are dropped."""
        self.name, self._path, self._steps = path.stem, path, steps
        self._rows = [row for row in read_curve(path) if row[0] <= step]
        self._first, self._began = step, time.monotonic()
        self._before = self._rows[-1][3] if self._rows else 0.0
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([COLUMNS, *self._rows])

    def add(self, step: int, loss: float, rate: float) -> None:
        """Book the mean loss since the last row, and the learning rate."""
        seconds = time.monotonic() - self._began
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow([step, round(loss, 6), round(rate, 8), round(self._before + seconds, 1)])
        speed = (step - self._first) / max(seconds, 1e-9)
        left = duration((self._steps - step) / speed)
        _log.info(
            "%s: %s / %s steps, loss %.4f, %.2f a second, %s left",
            *(self.name, f"{step:,}", f"{self._steps:,}", loss, speed, left),
        )


def read_curve(path: Path) -> list[tuple[float, ...]]:
    """Return the rows of a curve's file; a row that a crash cut short is left out."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    return [tuple(map(float, row)) for row in rows if len(row) == len(COLUMNS) and all(row)]


def draw_curves(paths: Sequence[Path], target: Path) -> None:
    """Draw every curve's loss over its steps, raw and smoothed, one panel each."""
    from matplotlib.figure import Figure

    drawn = [(path.stem, np.asarray(rows, np.float64)) for path in paths if (rows := read_curve(path))]
    if not drawn:
        return
    figure = Figure(figsize=(4 * min(3, len(drawn)), 2.6 * -(-len(drawn) // 3)), layout="constrained")
    panels = figure.subplots(-(-len(drawn) // 3), min(3, len(drawn)), squeeze=False).flat
    for panel in panels[len(drawn) :]:
        panel.set_visible(False)
    for panel, (name, curve) in zip(panels, drawn, strict=False):
        smooth = [curve[max(0, k - SMOOTHED_ROWS) : k + 1, 1].mean() for k in range(len(curve))]
        panel.plot(curve[:, 0], curve[:, 1], ".-", color="0.8", markersize=3)
        panel.plot(curve[:, 0], smooth, color="C0")
        panel.set(title=f"{name}: {curve[-1, 3] / 60:.1f} min", xlabel="step", ylabel="loss", yscale="log")
    figure.savefig(target, dpi=110)
