"""Print the attribute accuracy of a mini model's pictures, or of the pictures of a hierflow manifest.

    python -m hierflow.mini.evaluation.evaluate --model DIR [--count 150]
    python -m hierflow.mini.evaluation.evaluate --manifest PATH/manifest.parquet

Both print a markdown table, then the same figures as JSON. Every figure is the independent classifier's reading.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hierflow.mini.catalogue.grammar import (
    ATTRIBUTE_SIZES,
    BACKGROUNDS,
    STYLES,
    Attributes,
    prompt_for,
    random_attributes,
)
from hierflow.mini.catalogue.render import render
from hierflow.mini.evaluation.manifest import mentioned_accuracy, read_manifest
from hierflow.mini.evaluation.sampling import generate, load_model, reconstruct
from hierflow.mini.judges.classifier import AttributeClassifier, accuracy, load_classifier

HELD_OUT_SEED: Final = 123
RENDER_SEED: Final = 124
CATALOGUE_SEED: Final = 42
CATALOGUE_SUBJECTS: Final = 10
CATALOGUE_BACKGROUNDS: Final = ("studio", "table", "night", "street")
RENDER_COUNT: Final = 400

Shares = Mapping[str, float | None]


def catalogue() -> list[Attributes]:
    """Return the 200 pictures of a small catalogue: 10 patterned products, each in 4 places and 5 styles.

    Every product is another one, and some combinations are held-out ones, as in any catalogue.
    """
    rng = np.random.default_rng(CATALOGUE_SEED)
    subjects: dict[int, tuple[int, int, int]] = {}
    while len(subjects) < CATALOGUE_SUBJECTS:
        product, color, pattern = (int(rng.integers(size)) for size in ATTRIBUTE_SIZES[:3])
        subjects.setdefault(product, (product, color, pattern))
    return [
        Attributes(*subject, BACKGROUNDS.index(background), style)
        for style in range(len(STYLES))
        for subject in subjects.values()
        for background in CATALOGUE_BACKGROUNDS
    ]


def peak_signal_to_noise(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Return the PSNR between two stacks of pictures, in decibels."""
    error = np.mean((first.astype(np.float64) - second.astype(np.float64)) ** 2)
    return float(10 * np.log10(255**2 / error))


def evaluate_model(folder: Path, count: int, seed: int = 0) -> dict[str, Shares]:
    """Return the rows of the model card's table: renders, reconstructions, and generated pictures."""
    classifier, model = load_classifier(), load_model(folder)
    rng = np.random.default_rng(RENDER_SEED)
    drawn = [random_attributes(rng, held_out=True) for _ in range(RENDER_COUNT)]
    renders = np.stack([render(attributes, rng) for attributes in drawn])
    rebuilt = reconstruct(model.decoder.movq, renders)
    decibels = peak_signal_to_noise(renders, rebuilt)
    rng = np.random.default_rng(HELD_OUT_SEED)
    wanted = {
        f"generated, {count} held-out combinations": [random_attributes(rng, held_out=True) for _ in range(count)],
        "generated, 200 catalogue prompts": catalogue(),
    }
    rows: dict[str, Shares] = {
        f"renders, {RENDER_COUNT} held-out combinations": accuracy(renders, drawn, classifier),
        f"the same through the MoVQ ({decibels:.1f} dB)": accuracy(rebuilt, drawn, classifier),
    }
    for name, combinations in wanted.items():
        pictures = generate(model, [prompt_for(attributes) for attributes in combinations], seed)
        rows[name] = accuracy(pictures, combinations, classifier)
    return rows


def evaluate_manifest(path: Path, classifier: AttributeClassifier | None = None) -> dict[str, Shares]:
    """Return one row for the manifest's pictures, which counts the rows it had to leave out."""
    pictures = read_manifest(path)
    name = f"{len(pictures.wanted)} pictures ({pictures.missing} missing, {pictures.foreign} of other prompts)"
    return {name: mentioned_accuracy(pictures.images, pictures.wanted, classifier)}


def as_markdown(rows: Mapping[str, Shares]) -> str:
    """Lay the rows out as a markdown table; a figure that does not exist is left blank."""
    columns = list(next(iter(rows.values())))
    lines = [["accuracy", *(column.replace("_", " ") for column in columns)], ["---"] * (len(columns) + 1)]
    for name, shares in rows.items():
        figures = [shares[column] for column in columns]
        lines.append([name, *("" if figure is None else f"{figure:.3f}" for figure in figures)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--model", type=Path, metavar="DIR", help="model folder with prior/ and decoder/")
    what.add_argument("--manifest", type=Path, metavar="FILE", help="manifest.parquet of a hierflow image set")
    parser.add_argument("--count", type=int, default=150, help="held-out combinations to generate (default 150)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the generated pictures (default 0)")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options: Any = build_parser().parse_args(arguments)
    if options.manifest:
        rows = evaluate_manifest(options.manifest)
    else:
        rows = evaluate_model(options.model, options.count, options.seed)
    print(as_markdown(rows))
    print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
