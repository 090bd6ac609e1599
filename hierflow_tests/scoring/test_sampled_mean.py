"""The mean of a set by a random sample of it: its bound keeps its promise where a bootstrap's does not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from hierflow.scoring.sampled_mean import TAIL, SampledMean, least_sample

WHOLE = 1000


def lost(share: float, by: float) -> np.ndarray:
    """A set in which just more than `share` is lost, by single values that lose `by`."""
    return np.where(np.arange(WHOLE) <= share * WHOLE / by, -by, 0.0)


def skewed(mean_loss: float) -> np.ndarray:
    """A set whose losses have a long tail, and whose mean is just lower than allowed."""
    drawn = -np.minimum(np.random.default_rng(1).exponential(1.0, WHOLE) ** 4, 60.0)
    return drawn * (mean_loss + 1e-6) / -drawn.mean()


@pytest.mark.parametrize("sampled", [64, 256])
@pytest.mark.parametrize(
    "values", [lost(0.01, 0.9), lost(0.05, 0.9), lost(0.05, 0.4), skewed(0.01), skewed(0.05)], ids=range(5)
)
def test_a_loss_that_few_values_make_is_passed_as_seldom_as_promised(values: np.ndarray, sampled: int) -> None:
    assert values.min() >= -1
    generator, known, times = np.random.default_rng(0), SampledMean(sampled, WHOLE), 300
    lowers = [known.interval(generator.choice(values, sampled, replace=False), -1.0, 1.0).lower for _ in range(times)]
    too_high = np.mean([lower > values.mean() for lower in lowers if lower is not None])
    assert too_high <= TAIL + 3 * np.sqrt(TAIL * (1 - TAIL) / times)


@pytest.mark.parametrize(("whole", "sampled", "bad"), [(200, 128, 0), (200, 128, 2), (1000, 64, 1), (5000, 300, 9)])
def test_where_values_are_good_or_the_worst_the_bound_is_the_exact_one(whole: int, sampled: int, bad: int) -> None:
    values = np.where(np.arange(sampled) < bad, -1.0, 0.0)
    chances = hypergeom.cdf(bad, whole, np.arange(whole + 1), sampled)
    exact = np.flatnonzero(chances > TAIL)[-1] / whole
    found = SampledMean(sampled, whole).interval(values, -1.0, 1.0).lower
    assert found == pytest.approx(-exact, rel=0.06, abs=0.0011)


def test_of_a_set_that_is_known_wholly_the_mean_is_known() -> None:
    values = np.array([-0.9, 0.1, 0.3, 0.0])
    interval = SampledMean(4, 4).interval(values, -1.0, 1.0)
    assert interval.lower == interval.estimate == interval.upper == pytest.approx(values.mean())


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=40), st.integers(0, 300))
@settings(max_examples=50, deadline=None)
def test_the_interval_holds_its_estimate_whatever_the_order(values: list[float], unknown: int) -> None:
    known = SampledMean(len(values), len(values) + unknown)
    interval = known.interval(np.array(values), -1.0, 1.0)
    assert interval.lower is not None
    assert interval.upper is not None
    assert interval.lower <= interval.estimate + 1e-9
    assert interval.upper >= interval.estimate - 1e-9
    again = known.interval(np.array(values[::-1]), -1.0, 1.0)
    assert (again.lower, again.upper) == (interval.lower, interval.upper)


@pytest.mark.parametrize("loss", [0.01, 0.05])
def test_the_least_sample_tells_and_one_value_less_does_not(loss: float) -> None:
    """The interval is drawn, so it is asked a few values off."""
    least = least_sample(WHOLE, loss)

    def tells(sampled: int) -> bool:
        lower = SampledMean(sampled, WHOLE).interval(np.zeros(sampled), -1.0, 1.0).lower
        return lower is not None and lower >= -loss

    assert tells(round(1.06 * least))
    assert not tells(round(0.94 * least))


def test_the_least_sample_of_a_large_set_is_by_the_rule_of_three_and_of_a_small_one_nearly_all() -> None:
    assert least_sample(10**6, 0.01) == pytest.approx(np.log(TAIL) / np.log(0.99), abs=1)
    assert least_sample(100, 0.005) == 98
    assert least_sample(16, 1e-9) == 16
