"""How one way of making images compares with the standard way: the mean difference first, then the win rate."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hierflow.scoring.cluster_bootstrap import CONFIDENCE, ClusterBootstrap, Interval
from hierflow.scoring.paired_scores import PairedScores, wins


@dataclass(frozen=True)
class Comparison:
    """What pairs say.

    Attributes:
        pairs: how many there are.
        groups: of how many first-level subtrees.
        seeds: of how many draws of noise; with one, the intervals speak of that draw alone.
        band: by how much scores may differ and still tie.
        ties: the share of pairs that do.
        difference: of the scores, tried - standard, in their own unit.
        win_rate: in [0, 1], a tie counting half; 1/2 where neither way is better.
    """

    pairs: int
    groups: int
    seeds: int
    band: float
    ties: float
    difference: Interval
    win_rate: Interval


def compare(pairs: PairedScores, band: float) -> Comparison:
    """Compare the two ways of `pairs`.

    Args:
        pairs: the scores.
        band: as :func:`~hierflow.scoring.paired_scores.tie_band` measures it; for a part of a set, that of the whole.
    """
    bootstrap, won = ClusterBootstrap(pairs.groups, pairs.seeds), wins(pairs, band)
    win_rate = bootstrap.interval(won, 0.0, 1.0)
    if (won == won[0]).all():
        win_rate = _never_seen_otherwise(win_rate, bootstrap.effective)
    return Comparison(
        pairs=len(pairs),
        groups=bootstrap.groups,
        seeds=bootstrap.seeds,
        band=band,
        ties=float((won == 0.5).mean()),
        difference=bootstrap.interval(pairs.differences),
        win_rate=win_rate,
    )


def _never_seen_otherwise(win_rate: Interval, groups: float) -> Interval:
    """The interval where all pairs ended alike, which no bootstrap can tell from certainty.

    The share of groups that would end otherwise is below 1 - ((1 - confidence) / 2)^(1 / groups) as surely as the
    confidence says (the rule of three). Groups in effect, not pairs: those of a group may have to end alike.
    """
    if win_rate.lower is None:
        return win_rate
    others = 1 - ((1 - CONFIDENCE) / 2) ** (1 / groups)
    estimate = win_rate.estimate
    return replace(win_rate, lower=estimate * (1 - others), upper=estimate + (1 - estimate) * others)
