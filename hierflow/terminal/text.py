"""Texts for a terminal: one line each, nothing that steers it, and figures with their units."""

from __future__ import annotations

from collections.abc import Sequence

_WIDEST = 40


def printable(text: str, widest: int = _WIDEST) -> str:
    """`text` in one line of at most `widest` characters that cannot steer a terminal."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return shown if len(shown) <= widest else shown[: widest - 3] + "..."


def listed(keys: Sequence[str]) -> str:
    """The first of some keys, to be put behind their number; nothing where there are none."""
    return f": {', '.join(keys[:6])}{' ...' if len(keys) > 6 else ''}" if keys else ""


def volume(size: int) -> str:
    """So many bytes, such as `1.2 MB`."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if size >= factor:
            return f"{size / factor:,.1f} {unit}"
    return f"{size} B"


def laid_out(title: str, rows: Sequence[tuple[str, str]]) -> str:
    """A title, and below it rows of a label and what it says, in two columns."""
    width = max(len(label) for label, _ in rows)
    return "\n".join([title, *(f"  {label:<{width}}  {value}" for label, value in rows)])
