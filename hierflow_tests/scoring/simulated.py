"""Simulated pairs whose truth is known."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from hierflow.scoring.paired_scores import PairedScores

BAND = 0.6


def draw(
    generator: np.random.Generator,
    *,
    groups: int,
    members: int,
    alike: float = 0.0,
    seeds: int = 1,
    mean: float = 0.0,
) -> PairedScores:
    """Pairs with differences of variance 1 around `mean`.

    Args:
        generator: what draws.
        groups: how many there are.
        members: pairs in each, a seed.
        alike: the share of the variance that a group's members have in common.
        seeds: how many there are; every prompt is there under each.
        mean: of the differences.
    """
    group = np.tile(np.repeat(np.arange(groups), members), seeds)
    common = generator.normal(0, np.sqrt(alike), groups)[group]
    differences = mean + common + generator.normal(0, np.sqrt(1 - alike), len(group))
    standard = generator.normal(0, 3, len(group))
    return PairedScores(
        standard + differences, standard, group.astype(str), np.repeat(np.arange(seeds), groups * members)
    )


def true_win_rate(mean: float) -> float:
    """Of differences with variance 1 around `mean`, by the band :data:`BAND`."""
    return float((1 - ndtr(BAND - mean) + 1 - ndtr(-BAND - mean)) / 2)
