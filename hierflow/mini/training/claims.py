"""What the yes/no judge is asked about in training: prompts that are true of a picture, or false of it."""

from __future__ import annotations

from typing import Final

import numpy as np

from hierflow.mini.catalogue.grammar import ATTRIBUTE_SIZES, Attributes, Mentions, is_held_out, prompt_for

OTHER_PROMPT_CHANCE: Final = 0.15
MENTION_CHANCES: Final = (0.25, 0.6, 1.0)


def random_claim(truth: Attributes, rng: np.random.Generator, *, true: bool) -> str:
    """Draw a prompt that is true of a picture, or false of it: mostly wrong in one attribute alone.

    No prompt names a held-out combination in full: such prompts would all be false, and could be told by that.
    """
    while True:
        chance = MENTION_CHANCES[int(rng.integers(len(MENTION_CHANCES)))]
        mentions = Mentions(True, *(bool(rng.random() < chance) for _ in range(4)))
        claim = truth if true else _falsified(truth, mentions, rng)
        differs = any(said and a != b for said, a, b in zip(mentions, truth, claim, strict=True))
        if differs != true and not (all(mentions) and is_held_out(claim)):
            return prompt_for(claim, mentions)


def _falsified(truth: Attributes, mentions: Mentions, rng: np.random.Generator) -> Attributes:
    if rng.random() < OTHER_PROMPT_CHANCE:
        return Attributes(*(int(rng.integers(size)) for size in ATTRIBUTE_SIZES))
    named = [column for column, said in enumerate(mentions) if said]
    return changed(truth, named[int(rng.integers(len(named)))], rng)


def changed(truth: Attributes, column: int, rng: np.random.Generator) -> Attributes:
    """Give one attribute another value."""
    size = ATTRIBUTE_SIZES[column]
    return Attributes(*truth[:column], (truth[column] + int(rng.integers(1, size))) % size, *truth[column + 1 :])
