"""Train the mini model and its two judges from nothing, stage by stage.

    python -m hierflow.mini.training --work FOLDER [--only STAGE ...] [--steps-scale X] [--start MODEL]

Stop it whenever you like and start the same command again: finished stages are skipped, and the one that was stopped
goes on from its last checkpoint. Curves lie in FOLDER/curves (CSV and curves.png), the model in FOLDER/model, the
judges in FOLDER/classifier.safetensors and FOLDER/yes_no, the figures in FOLDER/figures.md.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from hierflow.errors import InputError
from hierflow.mini.training.curves import draw_curves
from hierflow.mini.training.stages import BY_NAME, STAGES, carry_out, log_to_stderr
from hierflow.mini.training.work import WorkFolder
from hierflow.mini.training.workers import alone, share_out

_log = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m hierflow.mini.training",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--work", type=Path, required=True, metavar="FOLDER", help="where everything is kept")
    names = ", ".join(BY_NAME)
    parser.add_argument("--only", nargs="+", choices=list(BY_NAME), metavar="STAGE", help=f"some of {names}")
    parser.add_argument("--steps-scale", type=float, default=1.0, metavar="X", help="of steps and pictures")
    parser.add_argument("--start", type=Path, metavar="MODEL", help="the model whose weights to start from")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options: Any = build_parser().parse_args(arguments)
    log_to_stderr()
    options.work.mkdir(parents=True, exist_ok=True)
    with _alone_in(options.work):
        _keep_to_one_scale(options.work, options.steps_scale)
        work = WorkFolder(options.work)
        for stage in [BY_NAME[name] for name in options.only] if options.only else STAGES:
            if stage.is_done(work):
                _log.info("%s: done already", stage.name)
                continue
            _log.info("%s: begins", stage.name)
            task = partial(carry_out, stage.name, work, options.steps_scale, options.start)
            if stage.shared:
                share_out(task)
            else:
                task(alone())
            draw_curves(sorted(work.curve("").parent.glob("*.csv")), work.curve("").parent / "curves.png")


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Raise an InputError while another process trains in the folder."""
    try:
        with FileLock(folder / "training.lock", timeout=0):
            yield
    except Timeout as error:
        raise InputError(
            "is being trained in by another process", file=folder, remedy="wait for its end, or take another folder"
        ) from error


def _keep_to_one_scale(folder: Path, scale: float) -> None:
    """Raise an InputError if the folder was begun with another scale: its parts would not fit together."""
    note = folder / "scale.json"
    if not note.exists():
        note.write_text(json.dumps(scale), "utf-8")
    elif (begun := json.loads(note.read_text("utf-8"))) != scale:
        raise InputError(
            f"was begun with --steps-scale {begun:g}",
            file=folder,
            value=f"{scale:g}",
            remedy="go on with that, or take another folder",
        )


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
