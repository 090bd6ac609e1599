"""Catalogues of the mini model's world, and what is new in them: prompts drawn alike, and of kinds never seen."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np

from hierflow.mini.catalogue.grammar import ATTRIBUTE_SIZES, Attributes, prompt_for

KNOWN = (8, 6, 4, 6, 4)
"""How many products, colors, patterns, backgrounds and styles the catalogue draws from."""


class Catalogue(NamedTuple):
    """Prompts that name all five attributes, each occurring once.

    Attributes:
        founding: what the tree is made from.
        alike: drawn as those were.
        unseen: of products that no founding prompt has, on backgrounds and in colors of all kinds.
    """

    founding: list[str]
    alike: list[str]
    unseen: list[str]


def draw(founding: int, newcomers: int, seed: int) -> Catalogue:
    """A catalogue of `founding` prompts, and `newcomers` of either kind."""
    rng = np.random.default_rng([seed, founding])
    orders = [rng.permutation(size) for size in ATTRIBUTE_SIZES]
    known = [order[:count].tolist() for order, count in zip(orders, KNOWN, strict=True)]
    new = [orders[0][KNOWN[0] :].tolist(), *(range(size) for size in ATTRIBUTE_SIZES[1:])]
    alike = _some(known, founding + newcomers, rng)
    return Catalogue(alike[:founding], alike[founding:], _some(new, newcomers, rng))


def _some(values: list[list[int]], count: int, rng: np.random.Generator) -> list[str]:
    every = list(product(*values))
    chosen = rng.choice(len(every), size=count, replace=False)
    return [prompt_for(Attributes(*every[index])) for index in chosen]
