"""Pairs of scores: the tie band, wins, losses and ties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hierflow.scoring.paired_scores import PairedScores, tie_band, wins

scores = st.integers(1, 20).flatmap(lambda n: arrays(np.float64, (2, n), elements=st.floats(-20, 20)))


def pairs_of(tried: list[float], standard: list[float]) -> PairedScores:
    count = len(tried)
    return PairedScores(np.array(tried), np.array(standard), np.array(["a"] * count), np.zeros(count, dtype=np.int64))


def test_the_band_is_the_median_distance_of_the_standard_way_to_itself() -> None:
    assert tie_band(pairs_of([1.0, 5.0, 2.0], [2.0, 2.0, 4.0])) == 2.0
    assert tie_band(pairs_of([1.0, 1.0, 1.0], [1.0, 1.0, 900.0])) == 0.0


def test_a_pair_within_the_band_counts_half_and_its_edge_is_within() -> None:
    pairs = pairs_of([3.0, 2.0, 1.0, 0.0, -3.0], [0.0, 0.0, 0.0, 2.0, 0.0])
    assert wins(pairs, 2.0).tolist() == [1.0, 0.5, 0.5, 0.5, 0.0]


def test_without_a_band_only_equal_scores_tie() -> None:
    assert wins(pairs_of([1.0, 1.0, 1.0], [1.0, 1.1, 0.9]), 0.0).tolist() == [0.5, 0.0, 1.0]


@given(scores, st.floats(0, 10))
def test_swapping_the_two_ways_swaps_wins_and_losses_and_leaves_the_band(rows: np.ndarray, band: float) -> None:
    pairs, swapped = pairs_of(*rows.tolist()), pairs_of(*rows[::-1].tolist())
    np.testing.assert_array_equal(wins(pairs, band) + wins(swapped, band), 1.0)
    assert tie_band(pairs) == tie_band(swapped)


@given(scores)
def test_half_of_the_pairs_that_made_the_band_tie(rows: np.ndarray) -> None:
    pairs = pairs_of(*rows.tolist())
    assert (wins(pairs, tie_band(pairs)) == 0.5).mean() >= 0.5


def test_a_part_keeps_each_pair_whole() -> None:
    pairs = PairedScores(np.array([1.0, 2.0]), np.array([3.0, 4.0]), np.array(["a", "b"]), np.array([5, 6]))
    part = pairs.where(np.array([False, True]))
    assert (part.tried[0], part.standard[0], part.groups[0], part.seeds[0], len(part)) == (2.0, 4.0, "b", 6, 1)


def test_what_is_no_set_of_pairs_is_refused() -> None:
    with pytest.raises(ValueError, match="no pair to compare"):
        pairs_of([], [])
    with pytest.raises(ValueError, match=r"as many scores, groups and seeds each, not \[1, 2\]"):
        pairs_of([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="a score is not finite"):
        pairs_of([np.nan], [1.0])
