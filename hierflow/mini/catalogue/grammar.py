"""The five attributes of a picture, the prompts that name them, and the combinations kept out of training."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

PRODUCTS: Final = (
    "mug", "bottle", "chair", "lamp", "shoe", "hat", "bag", "ball", "car", "house", "tree", "fish",
)  # fmt: skip
COLORS: Final = (
    "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white",
)  # fmt: skip
PATTERNS: Final = ("plain", "striped", "dotted", "checked")
BACKGROUND_PHRASES: Final = {
    "studio": "in a white studio",
    "table": "on a wooden table",
    "grass": "on green grass",
    "beach": "on a sandy beach",
    "night": "under a starry night sky",
    "brick": "in front of a brick wall",
    "sky": "under a cloudy blue sky",
    "street": "on a city street",
}
STYLE_PHRASES: Final = {
    "photo": "a photo of",
    "flat": "a flat illustration of",
    "line": "a line drawing of",
    "watercolor": "a watercolor painting of",
    "pixel": "pixel art of",
}
BACKGROUNDS: Final = tuple(BACKGROUND_PHRASES)
STYLES: Final = tuple(STYLE_PHRASES)
ATTRIBUTE_NAMES: Final = ("product", "color", "pattern", "background", "style")
ATTRIBUTE_VALUES: Final = (PRODUCTS, COLORS, PATTERNS, BACKGROUNDS, STYLES)
ATTRIBUTE_SIZES: Final = tuple(len(values) for values in ATTRIBUTE_VALUES)

HELD_OUT_PERCENT: Final = 12
FULL_PROMPT_CHANCE: Final = 0.45
MENTION_CHANCE: Final = 0.6


class Attributes(NamedTuple):
    """One picture's attributes, each an index into its tuple of `ATTRIBUTE_VALUES`."""

    product: int
    color: int
    pattern: int
    background: int
    style: int


class Mentions(NamedTuple):
    """Which attributes a prompt names; the product is always named."""

    product: bool = True
    color: bool = True
    pattern: bool = True
    background: bool = True
    style: bool = True


class ParsedPrompt(NamedTuple):
    """The attributes read from a prompt; None stands for an attribute it does not mention."""

    product: int
    color: int | None
    pattern: int | None
    background: int | None
    style: int | None


EVERYTHING: Final = Mentions()


def is_held_out(attributes: Attributes) -> bool:
    """Tell whether the combination is one of the 12 % that no training picture shows."""
    digest = 0
    for value in attributes:
        digest = (digest * 31 + int(value) + 7) * 2654435761 % (1 << 32)
    return (digest >> 16) % 100 < HELD_OUT_PERCENT


def prompt_for(attributes: Attributes, mentions: Mentions = EVERYTHING) -> str:
    """Write the prompt naming the mentioned attributes, such as "a photo of a red striped mug"."""
    words = [PRODUCTS[attributes.product]]
    if mentions.pattern:
        words.insert(0, PATTERNS[attributes.pattern])
    if mentions.color:
        words.insert(0, COLORS[attributes.color])
    article = "an" if words[0][0] in "aeiou" else "a"
    parts = [article, *words]
    if mentions.style:
        parts.insert(0, STYLE_PHRASES[STYLES[attributes.style]])
    if mentions.background:
        parts.append(BACKGROUND_PHRASES[BACKGROUNDS[attributes.background]])
    return " ".join(parts)


def last_words(attributes: Attributes, mentions: Mentions = EVERYTHING) -> dict[int, int]:
    """Return which word of `prompt_for` is the last one of each mentioned attribute, by the attribute's column."""
    places, last = {}, -1
    if mentions.style:
        last += len(STYLE_PHRASES[STYLES[attributes.style]].split())
        places[4] = last
    last += 1  # the article
    for column in (1, 2, 0):
        if mentions[column]:
            last += 1
            places[column] = last
    if mentions.background:
        places[3] = last + len(BACKGROUND_PHRASES[BACKGROUNDS[attributes.background]].split())
    return places


def prompt_of(parsed: ParsedPrompt) -> str:
    """Write the prompt that was read as `parsed`."""
    return prompt_for(Attributes(*(value or 0 for value in parsed)), Mentions(*(v is not None for v in parsed)))


def parse_prompt(text: str) -> ParsedPrompt:
    """Read a prompt of the grammar back into attribute indices.

    Raises ValueError for a text that `prompt_for` cannot have written (case and outer spaces aside).
    """
    rest = " ".join(text.lower().split())
    style = next((i for i, name in enumerate(STYLES) if rest.startswith(STYLE_PHRASES[name] + " ")), None)
    if style is not None:
        rest = rest.removeprefix(STYLE_PHRASES[STYLES[style]] + " ")
    background = next(
        (i for i, name in enumerate(BACKGROUNDS) if rest.endswith(" " + BACKGROUND_PHRASES[name])), None
    )
    if background is not None:
        rest = rest.removesuffix(" " + BACKGROUND_PHRASES[BACKGROUNDS[background]])
    words = rest.split()
    if len(words) < 2 or words[0] not in ("a", "an"):
        raise ValueError(f"not a prompt of the mini world: {text!r}")
    color = _pop_index(words, COLORS)
    pattern = _pop_index(words, PATTERNS)
    product = _pop_index(words, PRODUCTS)
    if product is None or len(words) != 1:
        raise ValueError(f"not a prompt of the mini world: {text!r}")
    return ParsedPrompt(product, color, pattern, background, style)


def _pop_index(words: list[str], vocabulary: tuple[str, ...]) -> int | None:
    """Take the word after the article out of `words` if the vocabulary has it, and return its index there."""
    if len(words) > 1 and words[1] in vocabulary:
        return vocabulary.index(words.pop(1))
    return None


def random_attributes(rng: np.random.Generator, *, held_out: bool | None = False) -> Attributes:
    """Draw a combination evenly: from training's (False), from the held-out ones (True), from all (None)."""
    while True:
        attributes = Attributes(*(int(rng.integers(size)) for size in ATTRIBUTE_SIZES))
        if held_out is None or is_held_out(attributes) == held_out:
            return attributes


def random_mentions(rng: np.random.Generator) -> Mentions:
    """Draw what a training prompt names: everything in 45 % of them, else each but the product at .6."""
    if rng.random() < FULL_PROMPT_CHANCE:
        return EVERYTHING
    return Mentions(True, *(bool(rng.random() < MENTION_CHANCE) for _ in range(4)))
