"""Charts of intervals: every dot in sight, round ticks, and signs that cannot be overlooked."""

from __future__ import annotations

import pytest

from hierflow.images.quality_charts import SHARES, axis_around_zero, mark, signed
from hierflow.scoring.cluster_bootstrap import Interval


def test_an_axis_holds_all_intervals_and_zero() -> None:
    axis = axis_around_zero([Interval(-0.12, -0.16, -0.086), Interval(-0.01, None, None)])
    assert axis.low < -0.16
    assert axis.high > 0.0
    assert [words for _, words in axis.labels] == ["−0.15", "−0.10", "−0.05", "0.00"]
    places = [float(place.rstrip("%")) for place, _ in axis.labels]
    assert places == sorted(places)
    assert 0 < places[0] < places[-1] < 100


@pytest.mark.parametrize(
    ("end", "ticks"),
    [
        (7.0, ["0", "+2", "+4", "+6"]),
        (0.003, ["0.000", "+0.001", "+0.002", "+0.003"]),
        (2500.0, ["0", "+500", "+1,000", "+1,500", "+2,000", "+2,500"]),
    ],
)
def test_ticks_are_round(end: float, ticks: list[str]) -> None:
    assert [words for _, words in axis_around_zero([Interval(end / 2, 0.0, end)]).labels] == ticks


def test_differences_of_zero_have_an_axis() -> None:
    axis = axis_around_zero([Interval(0.0, 0.0, 0.0)])
    assert axis.low < 0.0 < axis.high


def test_a_mark_lies_on_its_axis() -> None:
    assert mark(SHARES, Interval(0.5, 0.0, 1.0)) == ("50.00%", "3.70%", "96.30%")
    assert mark(SHARES, Interval(0.5, None, None)) == ("50.00%", "", "")


@pytest.mark.parametrize(
    ("value", "decimals", "words"),
    [(-0.0163, 3, "−0.016"), (0.25, 1, "+0.2"), (-0.0001, 2, "0.00"), (-1234.5, 0, "−1,234")],
)
def test_a_sign_is_shown_where_it_means_something(value: float, decimals: int, words: str) -> None:
    assert signed(value, decimals) == words
