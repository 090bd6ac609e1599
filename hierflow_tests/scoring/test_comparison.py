"""Comparisons: sharing beside the standard way, the arms that say whether the measure sees, and the floor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hierflow.scoring.arms import ArmComparisons, compare_arms
from hierflow.scoring.cluster_bootstrap import Interval
from hierflow.scoring.comparison import Comparison, compare
from hierflow.scoring.paired_scores import PairedScores
from hierflow.scoring.quality_floor import quality_floor
from hierflow_tests.scoring.simulated import draw


def arm(mean: float, seed: int = 0) -> PairedScores:
    return draw(np.random.default_rng(seed), groups=16, members=8, alike=0.1, mean=mean)


def rated(estimate: float, lower: float | None, upper: float | None, pairs: int = 64) -> Comparison:
    """A comparison with this win rate."""
    interval = Interval(estimate, lower, upper)
    return Comparison(pairs, 16, 1, 0.5, 0.5, difference=interval, win_rate=interval)


def test_it_reports_what_was_compared_and_how() -> None:
    pairs = draw(np.random.default_rng(0), groups=5, members=4, seeds=2, mean=-0.5)
    found = compare(pairs, 0.6)
    assert (found.pairs, found.groups, found.seeds, found.band) == (40, 5, 2, 0.6)
    assert found.ties == np.mean(np.abs(pairs.differences) <= 0.6)
    assert found.difference.estimate == pytest.approx(pairs.differences.mean())
    assert found.win_rate.estimate == pytest.approx(
        np.mean((pairs.differences > 0.6) + 0.5 * (np.abs(pairs.differences) <= 0.6))
    )


def test_swapping_the_two_ways_turns_the_win_rate_around() -> None:
    pairs = arm(-0.4)
    one, other = compare(pairs, 0.6), compare(replace(pairs, tried=pairs.standard, standard=pairs.tried), 0.6)
    assert other.ties == one.ties
    assert other.win_rate.estimate == pytest.approx(1 - one.win_rate.estimate)
    assert one.win_rate.upper is not None
    assert other.win_rate.lower == pytest.approx(1 - one.win_rate.upper)
    assert other.difference.estimate == pytest.approx(-one.difference.estimate)


@pytest.mark.parametrize(("difference", "estimate"), [(0.0, 0.5), (9.0, 1.0), (-9.0, 0.0)])
def test_pairs_that_all_end_alike_are_not_certain(difference: float, estimate: float) -> None:
    pairs = arm(0.0)
    found = compare(replace(pairs, tried=pairs.standard + difference), 1.0).win_rate
    assert found.estimate == estimate
    assert found.lower is not None
    assert found.upper is not None
    assert found.upper - found.lower == pytest.approx(1 - 0.025 ** (1 / 16))
    assert found.lower <= estimate <= found.upper


@pytest.mark.parametrize(("groups", "chance"), [(3, 0.7), (8, 0.85)])
def test_subtrees_that_end_as_one_and_all_alike_do_not_hide_the_truth(groups: int, chance: float) -> None:
    """Sixty-four pairs of three subtrees that win as one say no more than three pairs."""
    generator, group, missed = np.random.default_rng(0), np.arange(64) % groups, 0
    for _ in range(300):
        won = generator.random(groups) < chance
        if won.all() or not won.any():
            pairs = PairedScores(
                np.where(won[group], 1.0, -1.0), np.zeros(64), group.astype(str), np.zeros(64, dtype=np.int64)
            )
            missed += compare(pairs, 0.0).win_rate.excludes(chance)
    assert missed / 300 <= 0.05


def test_pairs_of_one_subtree_have_no_interval_even_if_they_all_end_alike() -> None:
    pairs = replace(arm(9.0), groups=np.array(["only"] * 128))
    assert compare(pairs, 1.0).win_rate == Interval(1.0, None, None)


def test_a_measure_that_leaves_equals_alone_and_sees_the_bad_way_may_be_used() -> None:
    found = compare_arms(arm(-0.1), arm(0.0, seed=1), arm(-1.0, seed=2))
    assert found.fault is None
    assert found.shared.band == found.again.band == found.shuffled.band == pytest.approx(0.67, abs=0.15)


def test_a_measure_that_does_not_see_the_bad_way_is_not_used() -> None:
    found = compare_arms(arm(0.0), arm(0.0, seed=1), arm(0.0, seed=2))
    assert found.fault is not None
    assert found.fault.startswith("the measure sees nothing here: even a random clustering is not seen as worse")
    verdict = quality_floor(found.shared, 0.1, fault=found.fault)
    assert (verdict.state, verdict.reason, verdict.more_pairs) == ("undecided", found.fault, None)


def test_a_measure_that_tells_equals_apart_is_broken() -> None:
    found = compare_arms(arm(0.0), arm(-0.8, seed=1), arm(-2.0, seed=2))
    assert found.fault is not None
    assert found.fault.startswith("the measure is broken: the standard way under another seed has a win rate over it")


def test_of_too_few_subtrees_nothing_is_said_of_the_measure() -> None:
    fine, few = rated(0.5, 0.45, 0.55), rated(0.2, None, None)
    assert ArmComparisons(fine, fine, few).fault == (
        "whether the measure sees anything cannot be told from so few first-level subtrees"
    )
    assert ArmComparisons(fine, few, rated(0.2, 0.1, 0.3)).fault is None


@pytest.mark.parametrize(
    ("estimate", "lower", "upper", "state"),
    [
        (0.40, 0.36, 0.44, "blocked"),  # wholly below the floor
        (0.40, 0.35, 0.45, "undecided"),  # touches it
        (0.43, 0.41, 0.44, "blocked"),  # above floor - margin as well: surely below the floor
        (0.46, 0.41, 0.51, "passed"),
        (0.46, 0.40, 0.52, "undecided"),
        (0.60, 0.55, 0.65, "passed"),
        (0.50, 0.20, 0.80, "undecided"),
    ],
)
def test_a_floor_of_45_percent(estimate: float, lower: float, upper: float, state: str) -> None:
    assert quality_floor(rated(estimate, lower, upper), 0.45).state == state


def test_an_undecided_floor_says_how_many_more_pairs_would_decide_it() -> None:
    """From .50, the lower bound must rise from .30 to .40: half the width, so four times the pairs."""
    verdict = quality_floor(rated(0.5, 0.3, 0.7, pairs=50), 0.45)
    assert verdict.more_pairs == pytest.approx(150, abs=1)
    assert verdict.reason == (
        f"undecided, about {verdict.more_pairs} more pairs would decide: win rate 0.500 (0.300 to 0.700) in 50 pairs"
    )


def test_the_nearer_of_both_ways_to_decide_is_counted() -> None:
    """From .42, down to below .45 is a tenth of the width; up to above .40 would be a fifteenth."""
    assert quality_floor(rated(0.42, 0.12, 0.72, pairs=10), 0.45).more_pairs == pytest.approx(990, abs=1)


@pytest.mark.parametrize(("floor", "state"), [(0.6, "passed"), (0.7, "blocked")])
def test_that_many_more_pairs_of_new_subtrees_do_decide_it(floor: float, state: str) -> None:
    few = draw(np.random.default_rng(3), groups=8, members=3, mean=0.2)
    first = compare(few, 0.6)
    assert 0.55 < first.win_rate.estimate < 0.65
    verdict = quality_floor(first, floor)
    assert verdict.state == "undecided"
    assert verdict.more_pairs is not None
    copies = 1 + -(-verdict.more_pairs // len(few))
    groups = [f"{copy} {group}" for copy in range(copies) for group in few.groups]
    more = PairedScores(
        *(np.tile(scores, copies) for scores in (few.tried, few.standard)),
        np.array(groups),
        few.seeds[[0] * len(groups)],
    )
    assert quality_floor(compare(more, 0.6), floor).state == state


def test_some_floors_no_number_of_pairs_decides() -> None:
    verdict = quality_floor(rated(0.5, 0.4, 0.6), 0.5, margin=0.0)
    assert (verdict.state, verdict.more_pairs) == ("undecided", None)
    assert "no number of pairs would decide" in verdict.reason


def test_a_floor_is_not_decided_by_too_few_subtrees() -> None:
    verdict = quality_floor(rated(0.0, None, None), 0.45)
    assert verdict.state == "undecided"
    assert verdict.reason.startswith("undecided, pairs of more first-level subtrees are needed: win rate 0.000")
