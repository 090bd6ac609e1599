"""The stages of the training, in order."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Final

from hierflow.mini.training.work import Run, WorkFolder
from hierflow.mini.training.workers import Workers
from hierflow.models.quiet import quiet_libraries


@dataclass(frozen=True)
class Stage:
    """One stage: it reads what earlier ones left in the work folder and adds its own.

    Attributes:
        module, function: what does it, given a `Run`.
        shared: whether several processes share it, each with its part of every batch.
    """

    name: str
    module: str
    function: str = "train"
    shared: bool = False

    def run(self, run: Run) -> None:
        """Do it, going on where it was stopped, and note that it is done."""
        function: Callable[[Run], None] = getattr(
            import_module(f"hierflow.mini.training.{self.module}"), self.function
        )
        function(run)
        if run.workers.is_first:
            note = _note(run.work, self.name)
            note.parent.mkdir(parents=True, exist_ok=True)
            note.write_text(json.dumps({"stage": self.name, "scale": run.scale}), "utf-8")

    def is_done(self, work: WorkFolder) -> bool:
        """Tell whether an earlier call has finished it."""
        return _note(work, self.name).exists()


STAGES: Final = (
    Stage("data", "data"),
    Stage("classifier", "classifier", shared=True),
    Stage("yes_no", "yes_no", shared=True),
    Stage("tokenizer", "tokenizer"),
    Stage("movq", "movq", shared=True),
    Stage("clip", "clip", shared=True),
    Stage("encode_pictures", "encode", "encode_pictures"),
    Stage("prior", "prior", shared=True),
    Stage("encode_prompts", "encode", "encode_prompts"),
    Stage("unet", "unet", shared=True),
    Stage("export", "export"),
    Stage("evaluate", "figures"),
)
BY_NAME: Final = {stage.name: stage for stage in STAGES}


def _note(work: WorkFolder, name: str) -> Path:
    return work.root / "done" / f"{name}.json"


def carry_out(name: str, work: WorkFolder, scale: float, start: Path | None, workers: Workers) -> None:
    """Do one process's part of a stage."""
    log_to_stderr()
    with quiet_libraries():
        BY_NAME[name].run(Run(work, workers, scale, start))


def log_to_stderr() -> None:
    """Let this process say how far it is."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
