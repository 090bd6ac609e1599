"""The work folder of a training run, and the command line that all training scripts share."""

import argparse
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.mini_model.data import PictureSet, read_pictures
from benchmarks.mini_model.loop import Schedule, Settings


@dataclass(frozen=True)
class WorkFolder:
    """Where the recipe keeps its pictures, parts and checkpoints."""

    root: Path

    def part(self, name: str) -> Path:
        """Return the folder of a trained part: tokenizer, movq, text_encoder, image_encoder, prior or unet."""
        return self.root / name

    def checkpoints(self, name: str) -> Path:
        """Return the folder of a run's checkpoints."""
        return self.root / "checkpoints" / name

    def file(self, name: str) -> Path:
        """Return a file of encoded pictures or prompts."""
        return self.root / "encoded" / name

    def pictures(self) -> PictureSet:
        """Open the training pictures."""
        return read_pictures(self.root / "pictures")


@dataclass(frozen=True)
class Run:
    """What the command line asks of a training script; `batch` is the size in each process."""

    work: WorkFolder
    batch: int
    steps: int
    rate: float
    start: Path | None
    checkpoint_every: int

    def settings(self, name: str, *, hold: float = 0.0, **changes: Any) -> Settings:
        """Return the loop's settings for this run."""
        schedule = Schedule(steps=self.steps, peak=self.rate, hold=hold)
        folder = self.work.checkpoints(name)
        return Settings(schedule, folder, checkpoint_every=self.checkpoint_every, **changes)


def parse_run(
    description: str | None, arguments: Sequence[str] | None, *, steps: int, batch: int, rate: float
) -> Run:
    """Read a training script's command line and start its log; the numbers are the recipe's defaults."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="work folder of the recipe")
    parser.add_argument("--steps", type=int, default=steps, help=f"steps in all (default {steps})")
    parser.add_argument("--batch", type=int, default=batch, help=f"batch of each process (default {batch})")
    parser.add_argument("--rate", type=float, default=rate, help=f"peak learning rate (default {rate})")
    parser.add_argument("--start", type=Path, metavar="DIR", help="model folder whose weights to start from")
    parser.add_argument("--checkpoint-every", type=int, default=200, metavar="STEPS")
    options: Any = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    work = WorkFolder(options.work)
    return Run(work, options.batch, options.steps, options.rate, options.start, options.checkpoint_every)
