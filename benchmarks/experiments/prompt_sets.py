"""Four kinds of prompt sets of the mini model's world, as the paper has four kinds of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Final, NamedTuple

import numpy as np

from hierflow.mini.catalogue.grammar import ATTRIBUTE_SIZES, PRODUCTS, Attributes, Mentions, prompt_for

SIZE: Final = 500
"""How many images a set has, where it can: the paper's sets have 500 prompts and more."""

_SCENES: Final = 13
_IMAGES_A_NOUN: Final = 10
"""Of so few prompts more images say little: intervals draw subtrees anew, and there are no more of them."""
_TEMPLATE_SIZES: Final = (5, 5, 2, 2, 5)
"""How many products, colors, patterns, backgrounds and styles the templated set multiplies."""


class MiniSet(NamedTuple):
    """A prompt set.

    Attributes:
        name: of :data:`SETS`.
        texts: distinct prompts.
        images_per_prompt: how many images of each, with noise of their own.
    """

    name: str
    texts: tuple[str, ...]
    images_per_prompt: int = 1

    @property
    def images(self) -> int:
        """How many images it has."""
        return len(self.texts) * self.images_per_prompt


def mini_set(name: str, size: int = SIZE) -> MiniSet:
    """The set `name` of :data:`SETS`, with about `size` images, and never more prompts.

    The nouns have fewer images, in whole rounds.
    """
    return _MAKERS[name](size)


def _diverse(size: int) -> MiniSet:
    rng = np.random.default_rng(1)
    found: dict[str, None] = {}
    while len(found) < size:
        found[prompt_for(Attributes(*(int(rng.integers(count)) for count in ATTRIBUTE_SIZES)))] = None
    return MiniSet("diverse", tuple(found))


def _templated(size: int) -> MiniSet:
    rng = np.random.default_rng(2)
    values = [
        rng.choice(count, taken, replace=False).tolist()
        for count, taken in zip(ATTRIBUTE_SIZES, _TEMPLATE_SIZES, strict=True)
    ]
    every = [prompt_for(Attributes(*combination)) for combination in product(*values)]
    chosen = np.sort(rng.permutation(len(every))[:size])
    return MiniSet("templated", tuple(every[index] for index in chosen))


def _style_variations(size: int) -> MiniSet:
    """Thirteen patterned products, each in all 40 looks: five styles in eight places."""
    rng = np.random.default_rng(3)
    products = rng.permutation(np.arange(_SCENES) % ATTRIBUTE_SIZES[0])
    every = [prompt_for(look) for scene in products.tolist() for look in _looks(scene, rng)]
    return MiniSet("style variations", tuple(dict.fromkeys(every))[:size])


def _looks(scene: int, rng: np.random.Generator) -> Iterator[Attributes]:
    color, pattern = (int(rng.integers(size)) for size in ATTRIBUTE_SIZES[1:3])
    for background, style in product(range(ATTRIBUTE_SIZES[3]), range(ATTRIBUTE_SIZES[4])):
        yield Attributes(scene, color, pattern, background, style)


def _single_nouns(size: int) -> MiniSet:
    """The world has twelve nouns and no more, so there are many images of each."""
    bare = Mentions(color=False, pattern=False, background=False, style=False)
    texts = tuple(prompt_for(Attributes(index, 0, 0, 0, 0), bare) for index in range(len(PRODUCTS)))
    return MiniSet("single nouns", texts, min(_IMAGES_A_NOUN, max(1, round(size / len(texts)))))


_MAKERS: Final[dict[str, Callable[[int], MiniSet]]] = {
    "templated": _templated,
    "diverse": _diverse,
    "style variations": _style_variations,
    "single nouns": _single_nouns,
}
SETS: Final = tuple(_MAKERS)
"""Their names."""
