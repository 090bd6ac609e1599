"""File names of images."""

from __future__ import annotations

import re

from hierflow.hashing import text_hash
from hierflow.naming import slug

__all__ = ["image_name", "slug"]

_STATE_ID = re.compile(r"[0-9a-f]{12,}")


def image_name(prompt_id: str, state_id: str, index: int) -> str:
    """An image's file name: `<slug of the prompt's id>-<first 12 digits of the state's id>-<index>.png`.

    Where the slug is not the id itself, six digits of the id's hash follow it: two ids may have one slug and
    one text, and their files differ in provenance.

    Args:
        prompt_id: any text.
        state_id: the hexadecimal id of the last state, at least 12 digits; it keeps the name unique.
        index: which of the prompt's images this is, counted from 0.

    Raises:
        ValueError: `state_id` is not such an id, or `index` is negative.
    """
    if not _STATE_ID.fullmatch(state_id):
        raise ValueError(f"{state_id!r} is not a state id (at least 12 lower-case hexadecimal digits)")
    if index < 0:
        raise ValueError(f"an image's index counts from 0, not from {index}")
    short = slug(prompt_id)
    if short != prompt_id:
        short = f"{short}-{text_hash(prompt_id)[:6]}"
    return f"{short}-{state_id[:12]}-{index}.png"
