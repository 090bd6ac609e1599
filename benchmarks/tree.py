"""How long building a tree takes, and how much memory: `python -m benchmarks.tree [N ...]`.

Each measurement runs in a process of its own, so that the peak memory is its own.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

DIMENSION = 768
LINKAGES = ("ward", "average", "centroid")


def measure(prompts: int, linkage: str) -> tuple[float, float, float]:
    """Seconds to build a tree over `prompts` clustered random embeddings and plan 40 steps; MB before, MB at peak."""
    import numpy as np

    from hierflow.tree import EmbeddingTree

    rng = np.random.default_rng(0)
    topics = rng.normal(size=(max(prompts // 50, 1), DIMENSION))
    embeddings = topics[rng.integers(len(topics), size=prompts)] + 0.5 * rng.normal(size=(prompts, DIMENSION))
    before = _peak_mb()
    began = time.perf_counter()
    EmbeddingTree.from_embeddings(embeddings, linkage).plan(tau=1.0, steps=40)
    return time.perf_counter() - began, before, _peak_mb()


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print one row a measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prompts", nargs="*", type=int, default=[2_000, 10_000])
    parser.add_argument("--one", nargs=2, metavar=("N", "LINKAGE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print("{:.2f} {:.0f} {:.0f}".format(*measure(int(arguments.one[0]), arguments.one[1])))
        return
    print(f"| prompts x {DIMENSION} | linkage | seconds | peak MB | of which before |")
    print("|---|---|---|---|---|")
    for prompts in arguments.prompts:
        for linkage in LINKAGES:
            command = [sys.executable, "-m", "benchmarks.tree", "--one", str(prompts), linkage]
            seconds, before, peak = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
            print(f"| {prompts:,} | {linkage} | {seconds} | {peak} | {before} |", flush=True)


if __name__ == "__main__":
    main()
