"""File names that every file system takes, whatever language the prompt is in."""

from __future__ import annotations

import re
import unicodedata

_FALLBACK = "prompt"
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}
_STATE_ID = re.compile(r"[0-9a-f]{12,}")


def slug(text: str, limit: int = 48) -> str:
    """`text` in lower-case ASCII letters, digits and single inner dashes: 1 to `limit` characters.

    Accents and ligatures are unfolded (NFKD), everything else becomes a dash; a text that leaves nothing
    (another script, only emoji) is "prompt". Never a device name of Windows. Different texts may share a
    slug, so a name that must be unique needs an id beside it.

    Raises:
        ValueError: `limit` is below 6, too short for the fallback.
    """
    if limit < len(_FALLBACK):
        raise ValueError(f"a slug needs a limit of at least {len(_FALLBACK)} characters, not {limit}")
    letters = unicodedata.normalize("NFKD", text.casefold())
    # Accents and apostrophes vanish instead of splitting a word.
    kept = (letter for letter in letters if not unicodedata.combining(letter) and letter not in "'’")
    short = "-".join(re.findall(r"[a-z0-9]+", "".join(kept)))[:limit].rstrip("-") or _FALLBACK
    return f"{short}-x" if short in _RESERVED else short


def image_name(prompt_id: str, state_id: str, index: int) -> str:
    """An image's file name: `<slug of the prompt's id>-<first 12 digits of the state's id>-<index>.png`.

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
    return f"{slug(prompt_id)}-{state_id[:12]}-{index}.png"
