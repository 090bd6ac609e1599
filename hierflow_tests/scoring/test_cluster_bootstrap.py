"""The cluster bootstrap: what it must equal, that its intervals hold the truth, and when it says nothing."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierflow.scoring.cluster_bootstrap import ClusterBootstrap, Interval
from hierflow.scoring.paired_scores import wins
from hierflow_tests.scoring.simulated import BAND, draw, true_win_rate


def numbered(labels: list[int]) -> tuple[np.ndarray, np.ndarray]:
    return np.array(labels).astype(str), np.zeros(len(labels), dtype=np.int64)


def coverage(times: int, mean: float, **design: float) -> float:
    """How often the interval of a simulated win rate holds the true one."""
    generator, held = np.random.default_rng(0), 0
    bootstrap = None
    for _ in range(times):
        pairs = draw(generator, mean=mean, **design)  # type: ignore[arg-type]
        bootstrap = bootstrap or ClusterBootstrap(pairs.groups, pairs.seeds)  # every draw has one design
        held += not bootstrap.interval(wins(pairs, BAND), 0.0, 1.0).excludes(true_win_rate(mean))
    return held / times


@pytest.mark.parametrize("mean", [0.0, -1.0])
@pytest.mark.parametrize("groups", [4, 8, 24])
def test_intervals_hold_the_truth_as_often_as_they_say(groups: int, mean: float) -> None:
    assert 0.9 <= coverage(300, mean, groups=groups, members=64 // groups, alike=0.15) <= 0.99


def test_intervals_of_several_seeds_hold_the_truth_at_least_as_often() -> None:
    assert coverage(200, -0.3, groups=12, members=5, alike=0.1, seeds=3) >= 0.93


def test_pairs_that_move_together_count_for_less_than_independent_ones() -> None:
    generator = np.random.default_rng(0)

    def width(alike: float) -> float:
        pairs = draw(generator, groups=12, members=20, alike=alike)
        interval = ClusterBootstrap(pairs.groups, pairs.seeds).interval(pairs.differences)
        assert interval.lower is not None
        assert interval.upper is not None
        return interval.upper - interval.lower

    assert np.mean([width(0.5) for _ in range(20)]) > 2 * np.mean([width(0.0) for _ in range(20)])


def test_the_luck_of_a_seed_widens_the_interval() -> None:
    pairs = draw(np.random.default_rng(0), groups=12, members=4, seeds=2)
    lucky = ClusterBootstrap(pairs.groups, pairs.seeds).interval(np.where(pairs.seeds == 0, 1.0, -1.0))
    assert lucky.lower is not None
    assert lucky.upper is not None
    assert lucky.lower <= -1.0
    assert lucky.upper >= 1.0


def test_a_long_tail_lengthens_its_side_of_the_interval() -> None:
    values = np.where(np.arange(64) < 3, -10.0, 0.0)
    interval = ClusterBootstrap(*numbered(list(range(64)))).interval(values)
    assert interval.lower is not None
    assert interval.upper is not None
    assert interval.estimate - interval.lower > 1.1 * (interval.upper - interval.estimate)


def test_draws_are_distributed_as_all_resamples_are() -> None:
    """With three groups there are 27 resamples of equal chance."""
    groups, seeds = numbered([0, 0, 1, 2])
    by_group = [(3.0, 2), (7.0, 1), (3.0, 1)]
    means = [
        sum(by_group[g][0] for g in drawn) / sum(by_group[g][1] for g in drawn)
        for drawn in itertools.product(range(3), repeat=3)
    ]
    bootstrap = ClusterBootstrap(groups, seeds)
    assert bootstrap.effective == pytest.approx(16 / 6)
    by_seed, weights = bootstrap._weights
    drawn = (weights @ [3.0, 7.0, 3.0]) / (weights @ [2, 1, 1])
    assert by_seed.tolist() == [[1]] * len(drawn)
    assert drawn.std() == pytest.approx(np.std(means), rel=0.03)
    assert drawn.mean() == pytest.approx(np.mean(means), rel=0.03)


@given(st.integers(0, 10**6), st.integers(1, 3))
@settings(max_examples=20)
def test_order_changes_nothing_and_swapping_mirrors_the_interval(seed: int, seeds: int) -> None:
    generator = np.random.default_rng(seed)
    pairs = draw(generator, groups=5, members=3, alike=0.2, seeds=seeds)
    order = generator.permutation(len(pairs))
    values = pairs.differences
    interval = ClusterBootstrap(pairs.groups, pairs.seeds).interval(values)
    again = ClusterBootstrap(pairs.groups[order], pairs.seeds[order]).interval(values[order])
    mirrored = ClusterBootstrap(pairs.groups, pairs.seeds).interval(-values)
    assert interval.lower is not None
    assert mirrored.upper is not None
    assert (again.lower, again.upper) == pytest.approx((interval.lower, interval.upper))
    assert -mirrored.upper == pytest.approx(interval.lower, abs=1e-9)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2), st.sampled_from([0.0, 0.5, 1.0])), min_size=1))
@settings(max_examples=50)
def test_an_interval_holds_its_estimate_and_stays_where_values_can_be(rows: list[tuple[int, int, float]]) -> None:
    groups, seeds, values = (np.array(column) for column in zip(*rows, strict=True))
    interval = ClusterBootstrap(groups.astype(str), seeds).interval(values, 0.0, 1.0)
    assert interval.estimate == pytest.approx(values.mean())
    if interval.lower is not None:
        assert interval.upper is not None
        assert 0.0 <= interval.lower <= interval.estimate + 1e-9
        assert interval.estimate - 1e-9 <= interval.upper <= 1.0


def test_too_few_groups_have_no_interval() -> None:
    values = np.arange(40.0)
    for labels in ([0] * 40, [0] * 38 + [1, 2]):
        interval = ClusterBootstrap(*numbered(labels)).interval(values)
        assert interval == Interval(19.5, None, None)
        assert not interval.excludes(0.0)
        assert str(interval) == "19.500 (too few subtrees for an interval)"


def test_nothing_is_a_negative_zero() -> None:
    assert str(Interval(-0.0002, -0.0004, 0.0)) == "0.000 (0.000 to 0.000)"
    assert str(Interval(-0.0002, None, None)).startswith("0.000")
    assert str(Interval(-0.001, -0.002, 0.0)) == "-0.001 (-0.002 to 0.000)"


def test_a_set_of_another_design_is_drawn_otherwise() -> None:
    values = np.random.default_rng(0).normal(size=24)
    intervals = {
        ClusterBootstrap(*numbered([name + row % 6 for row in range(24)])).interval(values).upper for name in (0, 10)
    }
    assert len(intervals) == 2
