"""What a run costs when nothing, or one prompt, has changed: `python -m benchmarks.reruns --work FOLDER`.

A catalogue of the mini model's world is made with `hierflow run`, each run a process of its own. Seconds are wall
time from the process's start to its end.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.catalogue import draw
from benchmarks.commands import Finished, hierflow, written
from benchmarks.results import header

PROMPTS = 500
COLUMNS = (
    "run", "prompts", "partitions run", "evaluations executed", "of which replayed", "planned", "seconds",
    "of the first run's", "CPU seconds", "of the first run's", "bytes a prompt", "of which states", "of which images",
)  # fmt: skip


def reruns(folder: Path, prompts: int) -> dict[str, Finished]:
    """The runs of a set of `prompts` prompts in an empty folder, by what has changed before each."""
    catalogue = draw(prompts, 1, seed=0)
    founding, edited = catalogue.founding, [*catalogue.founding[1:], *catalogue.alike]
    return {
        "the first": _run(folder, founding),
        "nothing has changed": _run(folder, founding),
        "one prompt is another": _run(folder, edited),
        "nothing has changed since": _run(folder, edited),
    }


def _run(folder: Path, prompts: list[str]) -> Finished:
    attributes = {
        "name": "catalogue",
        "prompts": {"text": prompts},
        "diffusion": {"model": "mini"},
        "sharing": {"tau": 0.6},
    }
    return hierflow("run", written(folder, {"type": "hierflow.ImageSet", "attributes": attributes}))


def row(name: str, run: Finished, first: Finished) -> str:
    """A row of the table."""
    printed, own, size = run.printed, run.printed["evaluations"], run.printed["bytes"]
    prompts = printed["prompts"]
    return (
        f"| {name} | {prompts:,} | {printed['partitions']['run']} of {printed['partitions']['total']} "
        f"| {own['executed']:,} | {own['replayed']:,} | {own['planned']:,} | {run.seconds:.1f} "
        f"| {run.seconds / first.seconds:.1%} | {run.work:.1f} | {run.work / first.work:.1%} "
        f"| {size['all'] / prompts:,.0f} | {size['states'] / prompts:,.0f} | {size['images'] / prompts:,.0f} |"
    )


def main() -> None:
    """Print one row a run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="an empty folder")
    parser.add_argument("--prompts", type=int, default=PROMPTS)
    arguments = parser.parse_args()
    runs = reruns(arguments.work, arguments.prompts)
    print(header(COLUMNS))
    for name, run in runs.items():
        print(row(name, run, runs["the first"]))


if __name__ == "__main__":
    main()
