"""What the yes/no judge is asked about in training: prompts that are true of a picture, or false of it."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from hierflow.mini.catalogue.grammar import (
    ATTRIBUTE_SIZES,
    Attributes,
    Mentions,
    is_held_out,
    last_words,
    prompt_for,
)

OTHER_PROMPT_CHANCE: Final = 0.15
MENTION_CHANCES: Final = (0.25, 0.6, 1.0)
# Colors and products are the slowest to learn, backgrounds the quickest.
CHANGE_WEIGHTS: Final = (2.2, 2.2, 1.4, 0.8, 1.8)


class Claim(NamedTuple):
    """A prompt, and for the last word of every attribute that it mentions, whether that is true of the picture."""

    prompt: str
    words: dict[int, bool]


def random_claim(truth: Attributes, rng: np.random.Generator, *, true: bool) -> Claim:
    """Draw a prompt that is true of a picture, or false of it: mostly wrong in one attribute alone.

    No prompt names a held-out combination in full: such prompts would all be false, and could be told by that.
    """
    while True:
        chance = MENTION_CHANCES[int(rng.integers(len(MENTION_CHANCES)))]
        mentions = Mentions(True, *(bool(rng.random() < chance) for _ in range(4)))
        claim = truth if true else _falsified(truth, mentions, rng)
        words = {place: truth[column] == claim[column] for column, place in last_words(claim, mentions).items()}
        if all(words.values()) == true and not (all(mentions) and is_held_out(claim)):
            return Claim(prompt_for(claim, mentions), words)


def _falsified(truth: Attributes, mentions: Mentions, rng: np.random.Generator) -> Attributes:
    if rng.random() < OTHER_PROMPT_CHANCE:
        return Attributes(*(int(rng.integers(size)) for size in ATTRIBUTE_SIZES))
    weights = np.array(CHANGE_WEIGHTS) * mentions
    return changed(truth, int(rng.choice(len(weights), p=weights / weights.sum())), rng)


def changed(truth: Attributes, column: int, rng: np.random.Generator) -> Attributes:
    """Give one attribute another value."""
    values = list(truth)
    values[column] = (values[column] + int(rng.integers(1, ATTRIBUTE_SIZES[column]))) % ATTRIBUTE_SIZES[column]
    return Attributes(*values)
