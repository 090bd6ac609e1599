"""From pairs to what is said of a set: metric by metric, and for every part of it that has enough pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hierflow.scoring.arms import ArmComparisons, compare_arms
from hierflow.scoring.comparison import Comparison, compare
from hierflow.scoring.pair import AGAIN, SHARED, SHUFFLED, STANDARD, Pair
from hierflow.scoring.paired_scores import PairedScores
from hierflow.scoring.quality_floor import Verdict, quality_floor

FEWEST = 8
"""Pairs that a part of the set must have to be spoken of."""
MOST_VALUES = 24
"""Of a column; one that has more tells prompts apart rather than groups them."""


@dataclass(frozen=True)
class Judgement:
    """What one metric says.

    Attributes:
        metric: the score.
        arms: shared images, and the two arms that say whether the metric can be trusted, beside standard ones.
        by: the same for shared images alone, by column (`partition` and the prompts' own) and value.
    """

    metric: str
    arms: ArmComparisons
    by: Mapping[str, Mapping[str, Comparison]]


def judge(pairs: Sequence[Pair], metric: str) -> Judgement | None:
    """What `metric` says of some pairs; None if none of them has that score of every arm."""
    scored = [pair for pair in pairs if all(metric in image.scores for image in pair.images.values())]
    if not scored:
        return None
    shared = _side_by_side(scored, metric, SHARED)
    arms = compare_arms(shared, _side_by_side(scored, metric, AGAIN), _side_by_side(scored, metric, SHUFFLED))
    columns: dict[str, Callable[[Pair], str]] = {"partition": lambda pair: pair.partition}
    columns |= {name: lambda pair, name=name: str(pair.axes.get(name)) for name in _columns(scored)}  # type: ignore[misc]
    by = {name: _by(scored, shared, value_of, arms.shared.band) for name, value_of in columns.items()}
    return Judgement(metric, arms, {name: values for name, values in by.items() if len(values) > 1})


def best(judgements: Sequence[Judgement]) -> Judgement:
    """The one that decides: the first whose metric can be trusted; else the first. There is one at least."""
    return next((one for one in judgements if one.arms.fault is None), judgements[0])


def verdict(judgements: Sequence[Judgement], floor: float) -> Verdict:
    """Hold shared images against `floor`, by the best judgement."""
    if not judgements:
        return Verdict("undecided", "undecided, there are no pairs yet")
    judged = best(judgements)
    found = quality_floor(judged.arms.shared, floor, fault=judged.arms.fault)
    return Verdict(found.state, f"by {judged.metric}: {found.reason}", found.more_pairs)


def _side_by_side(pairs: Sequence[Pair], metric: str, arm: str) -> PairedScores:
    return PairedScores(
        tried=np.array([pair.images[arm].scores[metric] for pair in pairs]),
        standard=np.array([pair.images[STANDARD].scores[metric] for pair in pairs]),
        groups=np.array([pair.group for pair in pairs]),
        seeds=np.array([pair.seed for pair in pairs]),
    )


def _columns(pairs: Sequence[Pair]) -> list[str]:
    return list(dict.fromkeys(name for pair in pairs for name in pair.axes))


def _by(
    pairs: Sequence[Pair], shared: PairedScores, value_of: Callable[[Pair], str], band: float
) -> dict[str, Comparison]:
    values = np.array([value_of(pair) for pair in pairs])
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) > MOST_VALUES:
        return {}
    enough = [str(value) for value, count in zip(distinct, counts, strict=True) if count >= FEWEST]
    return {value: compare(shared.where(values == value), band) for value in enough}
