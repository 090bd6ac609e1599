"""The prompts that the figures are about."""

from __future__ import annotations

from typing import Final

import numpy as np

from hierflow.mini.catalogue.grammar import (
    ATTRIBUTE_SIZES,
    BACKGROUNDS,
    STYLES,
    Attributes,
    Mentions,
    prompt_for,
    random_attributes,
)

HELD_OUT_SEED: Final = 123
CATALOGUE_SEED: Final = 42
CATALOGUE_SUBJECTS: Final = 10
CATALOGUE_BACKGROUNDS: Final = ("studio", "table", "night", "street")
SHORTEST_EACH: Final = 10


def held_out(count: int, seed: int = HELD_OUT_SEED) -> list[Attributes]:
    """Draw combinations that no training picture shows."""
    rng = np.random.default_rng(seed)
    return [random_attributes(rng, held_out=True) for _ in range(count)]


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


def products() -> list[str]:
    """Return the shortest prompts, such as "a fish": every product, ten times."""
    nothing_else = Mentions(True, False, False, False, False)
    return [
        prompt_for(Attributes(product, 0, 0, 0, 0), nothing_else)
        for product in range(ATTRIBUTE_SIZES[0])
        for _ in range(SHORTEST_EACH)
    ]


def colored_products() -> list[str]:
    """Return every product in every color, such as "a red mug"."""
    named = Mentions(True, True, False, False, False)
    return [
        prompt_for(Attributes(product, color, 0, 0, 0), named)
        for product in range(ATTRIBUTE_SIZES[0])
        for color in range(ATTRIBUTE_SIZES[1])
    ]
