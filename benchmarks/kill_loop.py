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
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

HIERFLOW = [sys.executable, "-c", "from hierflow.cli import main; main()"]
DOCUMENT = Path("prompts/mini_catalog.yaml")


@dataclass
class Tally:
    """What happened to a set.

    Attributes:
        started: runs that were killed before they denoised anything, and after.
        denoising: of those, the runs that were killed after their first step.
        books: the plan's, over all runs.
        same: whether all images have the bytes of the undisturbed run.
    """

    started: int
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
    started = denoising = 0
    while pauses:
        before = _evaluations(folder)
        if not _killed(path, pauses.pop(0)):
            break
        started += 1
        denoising += _evaluations(folder) > before
    finish(path)
    return Tally(started, denoising, books(path), made(folder) == images)


def written(folder: Path, document: dict[str, Any]) -> Path:
    """The document in `folder`, which keeps all it makes there."""
    folder.mkdir(parents=True)
    path = folder / "set.yaml"
    attributes = {**document["attributes"], "storage": {"path": "./out"}}
    path.write_text(yaml.safe_dump({**document, "attributes": attributes}), "utf-8")
    return path


def finish(path: Path) -> float:
    """Run a document to its end; returns the seconds it took.

    Raises:
        CalledProcessError: it failed.
    """
    began = time.monotonic()
    subprocess.run([*HIERFLOW, "run", str(path)], env=_environment(), check=True, capture_output=True)
    return time.monotonic() - began


def books(path: Path) -> dict[str, Any]:
    """The books of a document's present plan, over all its runs."""
    printed = subprocess.run(
        [*HIERFLOW, "audit", str(path), "--json"], env=_environment(), check=True, capture_output=True, text=True
    ).stdout
    found: dict[str, Any] = json.loads(printed)["books"]
    return found


def made(folder: Path) -> dict[str, bytes]:
    """Every image by its file's name."""
    return {file.name: file.read_bytes() for file in sorted(folder.glob("out/*/images/**/*.png"))}


def _killed(path: Path, seconds: float) -> bool:
    """Start a run and kill it after `seconds`, with whatever it has started; False if it was done by then."""
    process = subprocess.Popen(
        [*HIERFLOW, "run", str(path)],
        env=_environment(),
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


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}


def main() -> None:
    """Print one row a set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="an empty folder")
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    document = yaml.safe_load(arguments.document.read_text("utf-8"))
    undisturbed = written(arguments.work / "undisturbed", document)
    whole, startup = finish(undisturbed), finish(undisturbed)
    images = made(undisturbed.parent)
    # So that about half of all kills fall into denoising, and a set takes several.
    longest = startup + 4 * (whole - startup) / arguments.kills
    pauses = np.random.default_rng(arguments.seed).uniform(0.3 * startup, longest, arguments.kills).tolist()
    print(f"undisturbed: {len(images)} images, {whole:.0f} s, and {startup:.0f} s with nothing to do\n")
    print("| set | kills | of which while denoising | planned | executed | redone | unaccounted at most | wasted "
          "| books balance | same bytes |\n|---|---|---|---|---|---|---|---|---|---|")  # fmt: skip
    number = 0
    while pauses:
        number += 1
        tally = torn(arguments.work / f"torn_{number}", document, pauses, images)
        own = tally.books
        print(
            f"| {number} | {tally.started} | {tally.denoising} | {own['planned']:,} | {own['executed']:,} "
            f"| {own['redone']:,} | {own['unaccounted']:,} | {tally.wasted / own['planned']:.1%} "
            f"| {'yes' if own['balanced'] else 'no'} | {'yes' if tally.same else 'no'} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
