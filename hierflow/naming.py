"""Names that every file system and every URL takes, whatever language they are made from."""

from __future__ import annotations

import re
import unicodedata

_FALLBACK = "prompt"
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}


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
    return f"{short}-x" if short in RESERVED else short
