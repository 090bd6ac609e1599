"""The work folder of a training, and what one stage of it is given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hierflow.mini.training.loop import Schedule, Settings
from hierflow.mini.training.pictures import PictureSet, read_pictures
from hierflow.mini.training.workers import Workers

CHECKPOINT_EVERY: Final = 200


@dataclass(frozen=True)
class WorkFolder:
    """Where the stages keep pictures, parts, curves and checkpoints."""

    root: Path

    def part(self, name: str) -> Path:
        """Return the folder or file of a trained part: tokenizer, movq, text_encoder, prior, classifier, ..."""
        return self.root / name

    def checkpoints(self, name: str) -> Path:
        """Return the folder of a training's checkpoints."""
        return self.root / "checkpoints" / name

    def curve(self, name: str) -> Path:
        """Return the CSV file of a training's losses."""
        return self.root / "curves" / f"{name}.csv"

    def file(self, name: str) -> Path:
        """Return a file of encoded pictures or prompts."""
        return self.root / "encoded" / name

    @property
    def picture_folder(self) -> Path:
        """Where the training pictures lie."""
        return self.root / "pictures"

    def pictures(self) -> PictureSet:
        """Open the training pictures."""
        return read_pictures(self.picture_folder)


@dataclass(frozen=True)
class Run:
    """What a stage is given.

    Attributes:
        scale: of the recipe's steps and of the number of pictures.
        start: the folder of a model whose weights networks start from; None for random ones.
    """

    work: WorkFolder
    workers: Workers
    scale: float = 1.0
    start: Path | None = None

    def scaled(self, count: int) -> int:
        """Return the recipe's number at this run's scale, at least 1."""
        return max(1, round(count * self.scale))

    def settings(self, name: str, *, steps: int, rate: float, hold: float = 0.0, **changes: Any) -> Settings:
        """Return the loop's settings of a training, its steps scaled."""
        schedule = Schedule(steps=self.scaled(steps), peak=rate, hold=hold)
        return Settings(
            schedule,
            self.work.checkpoints(name),
            self.work.curve(name),
            checkpoint_every=CHECKPOINT_EVERY,
            **changes,
        )
