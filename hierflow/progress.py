"""Done / total, rate, remaining: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Protocol

EVERY_SECONDS = 5.0


class Progress(Protocol):
    """Is told how much has been done."""

    def advance(self, amount: int) -> None:
        """`amount` more units are done."""

    def close(self) -> None:
        """Nothing more will come."""


OpenProgress = Callable[[str, int], Progress]
"""Opens a progress report, given what is being done and how many units it takes."""


class Lines:
    """A line through `write` every :data:`EVERY_SECONDS`, and one at the end.

    Args:
        label: what is being done.
        total: how many units it takes.
        write: where lines go, such as a logger's `info`.
    """

    def __init__(self, label: str, total: int, write: Callable[[str], object]) -> None:
        self._label, self._total, self._write = label, total, write
        self._done, self._began = 0, time.monotonic()
        self._wrote, self._said = self._began, -1

    def advance(self, amount: int) -> None:
        """`amount` more units are done."""
        self._done += amount
        if time.monotonic() - self._wrote >= EVERY_SECONDS:
            self._line()

    def close(self) -> None:
        """Say how it ended."""
        if self._total and self._said != self._done:
            self._line()

    def _line(self) -> None:
        self._wrote, self._said = time.monotonic(), self._done
        rate = self._done / max(self._wrote - self._began, 1e-9)
        left = (self._total - self._done) / rate if rate else float("inf")
        self._write(
            f"{self._label}: {self._done} / {self._total}, {rate:.1f} a second"
            + (f", {duration(left)} left" if self._done < self._total else "")
        )


class Bar:
    """A tqdm bar on stderr."""

    def __init__(self, label: str, total: int) -> None:
        from tqdm import tqdm

        self._bar = tqdm(total=total, desc=label, file=sys.stderr, leave=False, unit="eval", dynamic_ncols=True)

    def advance(self, amount: int) -> None:
        """`amount` more units are done."""
        self._bar.update(amount)

    def close(self) -> None:
        """Remove the bar."""
        self._bar.close()


class Silent:
    """Says nothing."""

    def __init__(self, label: str, total: int) -> None:
        self.label, self.total = label, total

    def advance(self, amount: int) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def to_stderr(label: str, total: int) -> Progress:
    """A bar if stderr is a terminal, else lines on it."""
    if sys.stderr.isatty():
        return Bar(label, total)
    return Lines(label, total, lambda line: print(line, file=sys.stderr, flush=True))


def duration(seconds: float) -> str:
    """`seconds` for people: 8 s, 3 min 20 s, 2 h 5 min; with a minus where they are negative."""
    if seconds == float("inf"):
        return "an unknown time"
    whole = round(seconds)
    if whole < 0:
        return f"-{duration(-whole)}"
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
