"""Renders beside generated pictures, as one picture for the model card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hierflow.mini.catalogue.backgrounds import PICTURE_SIZE
from hierflow.mini.catalogue.grammar import Attributes, parse_prompt
from hierflow.mini.catalogue.render import render

COLUMNS: Final = 10
ZOOM: Final = 2
GAP: Final = 8
QUALITY: Final = 82
SEED: Final = 7


def beside_renders(prompts: Sequence[str], pictures: NDArray[np.uint8], target: Path) -> None:
    """Write a JPEG in which every generated picture stands below a drawn one of the same full prompt."""
    rng = np.random.default_rng(SEED)
    drawn = [render(_attributes(prompt), rng) for prompt in prompts]
    side, blocks = PICTURE_SIZE * ZOOM, -(-len(prompts) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * side, blocks * (2 * side + GAP) - GAP), "white")
    for index, pair in enumerate(zip(drawn, pictures, strict=True)):
        left, top = index % COLUMNS * side, index // COLUMNS * (2 * side + GAP)
        for row, picture in enumerate(pair):
            large = Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC)
            sheet.paste(large, (left, top + row * side))
    sheet.save(target, quality=QUALITY, optimize=True)


def _attributes(prompt: str) -> Attributes:
    return Attributes(*(value or 0 for value in parse_prompt(prompt)))
