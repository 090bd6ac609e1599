"""Print the figures of a mini model and its judges, or those of the pictures of a hierflow manifest.

    python -m hierflow.mini.evaluation [--model FOLDER] [--picture FILE.jpg]
    python -m hierflow.mini.evaluation --manifest PATH/manifest.parquet

Both print markdown; --json writes the same figures to a file.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hierflow.mini import WEIGHTS
from hierflow.mini.evaluation.figures import Figures, measure
from hierflow.mini.evaluation.judges import load_judges
from hierflow.mini.evaluation.manifest import evaluate_manifest
from hierflow.mini.evaluation.sampling import load_model


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m hierflow.mini.evaluation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", type=Path, default=WEIGHTS, metavar="FOLDER", help="with prior/ and decoder/")
    parser.add_argument("--manifest", type=Path, metavar="FILE", help="manifest.parquet of a hierflow image set")
    parser.add_argument("--seed", type=int, default=0, help="of the generated pictures (default 0)")
    parser.add_argument("--share", type=float, default=1.0, help="of the usual number of pictures (default 1)")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="JPEG of renders beside generated pictures")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the figures as JSON")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options: Any = build_parser().parse_args(arguments)
    if options.manifest:
        figures = Figures({"By the classifier": evaluate_manifest(options.manifest)}, {})
    else:
        model = load_model(options.model)
        figures = measure(model, load_judges(), options.picture, seed=options.seed, share=options.share)
    print(figures.as_markdown())
    if options.json:
        options.json.write_text(figures.as_json(), "utf-8")


if __name__ == "__main__":
    main()
