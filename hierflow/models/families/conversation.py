"""Prompts within a conversation, as language models are shown them: which of the tokens are the prompt's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@contextmanager
def seen_by(encoder: Any) -> Iterator[dict[str, torch.Tensor]]:
    """What `encoder` is called with."""
    seen: dict[str, torch.Tensor] = {}
    hook = encoder.register_forward_pre_hook(lambda _, __, given: seen.update(given), with_kwargs=True)
    try:
        yield seen
    finally:
        hook.remove()


def own_tokens(ids: torch.Tensor, mask: torch.Tensor, around: list[int]) -> list[int]:
    """The places of a text's own tokens: neither padding, nor what comes before and after every text.

    Args:
        ids, mask: (L,) of the conversation about the text.
        around: the tokens of the conversation about the empty text.

    Returns:
        The places, ascending; every real one for a text without tokens of its own.
    """
    places = mask.nonzero()[:, 0].tolist()
    real = [int(ids[place]) for place in places]
    before, after = _alike(real, around), _alike(real[::-1], around[::-1])
    own = places[before : len(places) - min(after, len(around) - before)]
    return own or places


def _alike(one: list[int], other: list[int]) -> int:
    """How many items two lists have in common at their beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))
