"""Means with their intervals as dots with whiskers: places for the page to draw, x in percent of the width."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hierflow.scoring.cluster_bootstrap import Interval

_TICKS = 5
_AIR = 0.04  # of the span, on both sides, so that no dot is cut


@dataclass(frozen=True)
class Axis:
    """What the width of a chart stands for.

    Attributes:
        low, high: the values at its ends.
        ticks: values and their words.
    """

    low: float
    high: float
    ticks: Sequence[tuple[float, str]]

    def place(self, value: float) -> str:
        """Where `value` is."""
        return f"{100 * (value - self.low) / (self.high - self.low):.2f}%"

    @property
    def labels(self) -> list[tuple[str, str]]:
        """The ticks' places and words."""
        return [(self.place(value), words) for value, words in self.ticks]


class Mark(NamedTuple):
    """A mean on an axis.

    Attributes:
        at: its place.
        begin, end: those of its interval; empty where there is none.
    """

    at: str
    begin: str
    end: str


SHARES = Axis(-_AIR, 1 + _AIR, [(share / 4, f"{25 * share}%") for share in range(5)])
"""Of win rates."""


def mark(axis: Axis, interval: Interval) -> Mark:
    """The interval on the axis."""
    if interval.lower is None or interval.upper is None:
        return Mark(axis.place(interval.estimate), "", "")
    return Mark(axis.place(interval.estimate), axis.place(interval.lower), axis.place(interval.upper))


def axis_around_zero(intervals: Iterable[Interval]) -> Axis:
    """An axis that holds the intervals and 0, with round ticks."""
    ends = [0.0, *(end for one in intervals for end in (one.estimate, one.lower, one.upper) if end is not None)]
    low, high = min(ends), max(ends)
    span = (high - low) or 1.0
    step = _round_step(span / _TICKS)
    ticks = [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]
    decimals = max(0, -math.floor(math.log10(step)))
    return Axis(low - _AIR * span, high + _AIR * span, [(tick, signed(tick, decimals)) for tick in ticks])


def signed(value: float, decimals: int) -> str:
    """`+0.12`, `−0.12` or `0.00`."""
    words = f"{abs(value):,.{decimals}f}"
    if float(words.replace(",", "")) == 0:
        return words
    return ("−" if value < 0 else "+") + words


def _round_step(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is at least `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))
