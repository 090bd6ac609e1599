"""Is sharing good enough? A floor for the win rate, and no verdict that the interval does not carry."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from hierflow.scoring.comparison import Comparison

MARGIN = 0.05


@dataclass(frozen=True)
class Verdict:
    """What is known of a floor.

    Attributes:
        state: "passed", "blocked" or "undecided".
        reason: why, in a sentence without a full stop.
        more_pairs: of an undecided verdict, about how many more pairs would decide it; None where that is not known.
    """

    state: Literal["passed", "blocked", "undecided"]
    reason: str
    more_pairs: int | None = None


def quality_floor(comparison: Comparison, floor: float, margin: float = MARGIN, fault: str | None = None) -> Verdict:
    """Hold the win rate of sharing against `floor`.

    Blocked if the whole interval lies below the floor; else passed if the whole interval lies above floor - margin;
    else undecided.

    Args:
        comparison: of sharing with the standard way.
        floor: the least win rate that is good enough, in [0, 1]; 1/2 where sharing costs nothing.
        margin: how far below the floor the interval of a passing win rate may begin, at least 0.
        fault: why the measure may not be used, of :class:`~hierflow.scoring.arms.ArmComparisons`; nothing is decided
            then.
    """
    win_rate = comparison.win_rate
    if fault is not None:
        return Verdict("undecided", fault)
    if win_rate.lower is None or win_rate.upper is None:
        return Verdict("undecided", f"undecided, pairs of more first-level subtrees are needed: win rate {win_rate}")
    said = f"win rate {win_rate} in {comparison.pairs} pairs"
    if win_rate.upper < floor:
        return Verdict("blocked", f"{said} is below the floor of {floor:g}")
    if win_rate.lower > floor - margin:
        return Verdict("passed", f"{said} is above {floor - margin:g}, the floor less its margin")
    more = _more_pairs(comparison, floor, margin)
    asked = "no number of pairs" if more is None else f"about {more} more pairs"
    return Verdict("undecided", f"undecided, {asked} would decide: {said}", more)


def _more_pairs(comparison: Comparison, floor: float, margin: float) -> int | None:
    """About how many more pairs decide, if the win rate stays and the interval shrinks with the root of their number.

    That it does supposes that they come from new first-level subtrees as well, in the present proportion.
    """
    win_rate = comparison.win_rate
    assert win_rate.lower is not None
    assert win_rate.upper is not None
    growth = []
    if win_rate.estimate < floor:
        growth.append((win_rate.upper - win_rate.estimate) / (floor - win_rate.estimate))
    if win_rate.estimate > floor - margin:
        growth.append((win_rate.estimate - win_rate.lower) / (win_rate.estimate - (floor - margin)))
    if not growth:
        return None
    return max(1, math.ceil(comparison.pairs * (min(growth) ** 2 - 1)))
