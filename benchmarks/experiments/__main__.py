"""The paper's experiments on the mini model: `python -m benchmarks.experiments --work FOLDER`.

Each run lies in FOLDER once it is done, so that the same command goes on where it was stopped, and tables share runs.
What a new or better judge has not seen yet is measured without making images again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.experiments.bench import Bench
from benchmarks.experiments.lists import EXPERIMENTS
from benchmarks.experiments.page import report
from benchmarks.experiments.prompt_sets import SIZE

PAGE = Path("docs/experiments.md")


def main() -> None:
    """Carry out the experiments, or report those that are done."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.experiments", description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder of everything that is made")
    parser.add_argument("--only", choices=EXPERIMENTS, nargs="+", default=list(EXPERIMENTS), metavar="NAME",
                        help=f"of {', '.join(EXPERIMENTS)}")  # fmt: skip
    parser.add_argument("--prompts", type=int, default=SIZE, help=f"images a set, about (default {SIZE})")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--report", type=Path, nargs="?", const=PAGE, metavar="PAGE",
                        help=f"write what is done to a page (default {PAGE}) and make no run")  # fmt: skip
    arguments = parser.parse_args()
    bench = Bench(arguments.work, arguments.prompts)
    if arguments.report:
        report(bench, arguments.seeds, arguments.report)
        return
    bench.carry_out(bench.runs(arguments.only, arguments.seeds))


if __name__ == "__main__":
    main()
