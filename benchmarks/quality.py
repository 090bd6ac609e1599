"""What sharing costs in quality, where it can be measured: `python -m benchmarks.quality [--document DOCUMENT]`.

Generates a set of the mini model's catalogue at several settings and has the attribute classifier read every image.
All rows share their noise (it is keyed by prompt and step, not by tree or tau), so they are paired.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hierflow.document import load_document
from hierflow.generate import generate
from hierflow.mini.catalogue.grammar import parse_prompt
from hierflow.mini.judges.classifier import accuracy

SETTINGS = ((0.0, "ward"), (0.3, "ward"), (0.6, "ward"), (1.0, "ward"), (0.5, "average"), (0.5, "centroid"))
COLUMNS = ("product", "color", "pattern", "background", "style", "all_5")


def measure(document: Path, tau: float, linkage: str, seeds: Sequence[int]) -> tuple[float, dict[str, float]]:
    """The share of evaluations saved, and the mean accuracy by attribute over `seeds`."""
    spec = load_document(document)
    found, saved = [], 0.0
    for seed in seeds:
        made = generate(
            spec.prompts.model_dump(exclude_none=True),
            tau=tau,
            linkage=linkage,
            progress=False,
            **{**spec.diffusion.model_dump(exclude_none=True), "seed": seed},
        )
        attributes = np.array([parse_prompt(text) for text in made.manifest.column("prompt").to_pylist()])
        found.append(accuracy(np.stack([np.asarray(image) for image in made.images]), attributes))
        saved = made.plan.saved
    return saved, {name: float(np.mean([row[name] for row in found])) for name in COLUMNS}


def main() -> None:
    """Print one row a setting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--document", type=Path, default=Path("prompts/mini_catalog.yaml"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments = parser.parse_args()
    print("| linkage | tau | saved | product | color | pattern | background | style | all five |")
    print("|---|---|---|---|---|---|---|---|---|")
    for tau, linkage in SETTINGS:
        saved, means = measure(arguments.document, tau, linkage, arguments.seeds)
        cells = " | ".join(f"{means[name]:.3f}" for name in COLUMNS)
        print(f"| {linkage} | {tau:g} | {saved:.1%} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
