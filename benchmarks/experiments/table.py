"""A table of the page, and figures in words that no interval forbids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.experiments.comparing import KID
from hierflow.scoring.cluster_bootstrap import Interval
from hierflow.scoring.comparison import Comparison

BETTER, WORSE, UNKNOWN = "better", "worse", "unknown"


@dataclass
class Table:
    """A table of the page.

    Attributes:
        title, columns: its head.
        about: what it shows, before it.
        rows: cells; a row is there only if all its runs are.
        missing: how many rows wait for runs.
        findings: sentences after it.
        short: those that belong at the top of the page.
    """

    title: str
    columns: Sequence[str]
    about: str
    rows: list[list[str]] = field(default_factory=list)
    missing: int = 0
    findings: list[str] = field(default_factory=list)
    short: list[str] = field(default_factory=list)

    def add(self, first: Sequence[str], cells: Sequence[str | None]) -> None:
        """Add a row, unless a cell is missing."""
        if None in cells:
            self.missing += 1
        else:
            self.rows.append([*first, *(cell for cell in cells if cell is not None)])


def told(interval: Interval | None) -> str | None:
    """A difference with its interval."""
    if interval is None:
        return None
    if interval.lower is None or interval.upper is None:
        return f"{interval.estimate:+.3f}"
    return f"{interval.estimate:+.3f} ({interval.lower:+.3f} to {interval.upper:+.3f})"


def rate(compared: Comparison | None) -> str | None:
    """A win rate with its interval."""
    if compared is None:
        return None
    won = compared.win_rate
    return f"{won.estimate:.2f}" + ("" if won.lower is None else f" ({won.lower:.2f} to {won.upper:.2f})")


def verdict(interval: Interval, title: str) -> str:
    """What a difference says: :data:`BETTER`, :data:`WORSE`, or :data:`UNKNOWN` where its interval holds 0."""
    if not interval.excludes(0.0):
        return UNKNOWN
    return BETTER if (interval.estimate > 0) != (title == KID) else WORSE


def those(found: Mapping[str, Interval | None], seeing: Sequence[str], word: str) -> list[str]:
    """The measures, of those that see, that say `word` of a row's differences."""
    return [title for title in seeing if (interval := found.get(title)) and verdict(interval, title) == word]


def spread(values: Sequence[float], digits: int) -> str:
    """A mean, and the least and the most."""
    mean = sum(values) / len(values)
    return f"{mean:.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def listed(words: Sequence[str]) -> str:
    """Words, as a sentence has them."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
