"""What is lost when a run is killed again and again: `python -m benchmarks.kill_loop --work FOLDER [--kills N]`.

`hierflow run` is started in a process of its own and killed (SIGKILL) at a random moment, start-up included, until N
have been killed; then it may finish. A set that gets finished before that is followed by another. Every image must
have the bytes that an undisturbed run gives it. What was executed beyond the plan is what the kills have cost.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.commands import HIERFLOW, environment, hierflow, written
from benchmarks.results import header

DOCUMENT = Path("prompts/mini_catalog.yaml")
COLUMNS = (
    "set", "kills", "of which while denoising", "planned", "executed", "redone", "unaccounted at most", "wasted",
    "books balance", "same bytes",
)  # fmt: skip


@dataclass
class Tally:
    """What happened to a set.

    Attributes:
        kills: runs that were killed.
        denoising: those of them that had denoised something.
        books: the plan's, over all runs.
        same: whether all images have the bytes of the undisturbed run.
    """

    kills: int
    denoising: int
    books: dict[str, Any]
    same: bool

    @property
    def wasted(self) -> int:
        """Evaluations beyond the plan; what died unnoted is counted at its upper bound."""
        return int(self.books["executed"] - self.books["planned"] + self.books["unaccounted"])


def torn(folder: Path, document: dict[str, Any], pauses: list[float], images: dict[str, bytes]) -> Tally:
    """Run a set, killed after each of `pauses` seconds until none is left or it is done; used pauses are removed.

    Args:
        folder: an empty one.
        document: the set's.
        pauses: seconds from a run's start to its end.
        images: what an undisturbed run made, by file name.
    """
    path = written(folder, document)
    kills = denoising = 0
    while pauses:
        before = _evaluations(folder)
        if not _killed(path, pauses.pop(0)):
            break
        kills += 1
        denoising += _evaluations(folder) > before
    hierflow("run", path)
    return Tally(kills, denoising, hierflow("audit", path).printed["books"], made(folder) == images)


def made(folder: Path) -> dict[str, bytes]:
    """Every image by its file's name."""
    return {file.name: file.read_bytes() for file in sorted(folder.glob("out/*/images/**/*.png"))}


def _killed(path: Path, seconds: float) -> bool:
    """Start a run and kill it after `seconds`, with whatever it has started; False if it was done by then."""
    process = subprocess.Popen(
        [*HIERFLOW, "run", str(path)],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


def _evaluations(folder: Path) -> int:
    """What the ledger knows of, finished or not."""
    notes = [json.loads(file.read_text("utf-8"))["payload"] for file in folder.glob("out/*/ledger/**/*.json")]
    return sum(note.get("evaluations", 0) for note in notes)


def main() -> None:
    """Print one row a set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="an empty folder")
    parser.add_argument("--kills", type=int, default=20)
    arguments = parser.parse_args()
    document = yaml.safe_load(DOCUMENT.read_text("utf-8"))
    undisturbed = written(arguments.work / "undisturbed", document)
    whole, startup = (hierflow("run", undisturbed).seconds for _ in range(2))
    images = made(undisturbed.parent)
    # So that about half of all kills fall into denoising, and a set takes several.
    longest = startup + 4 * (whole - startup) / arguments.kills
    pauses = np.random.default_rng(0).uniform(0.3 * startup, longest, arguments.kills).tolist()
    print(f"undisturbed: {len(images)} images, {whole:.0f} s, and {startup:.0f} s with nothing to do\n")
    print(header(COLUMNS))
    number = 0
    while pauses:
        number += 1
        tally = torn(arguments.work / f"torn_{number}", document, pauses, images)
        own = tally.books
        print(
            f"| {number} | {tally.kills} | {tally.denoising} | {own['planned']:,} | {own['executed']:,} "
            f"| {own['redone']:,} | {own['unaccounted']:,} | {tally.wasted / own['planned']:.1%} "
            f"| {'yes' if own['balanced'] else 'no'} | {'yes' if tally.same else 'no'} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
