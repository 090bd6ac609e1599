"""The estimate: what a plan will take, and how large partitions should be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierflow.plan.cost import STARTUP_SHARE, Pace, estimate

SECONDS = st.floats(0.001, 1000)


def test_seconds_are_the_work_and_a_start_up_a_partition() -> None:
    found = estimate(Pace(0.5, 10.0), evaluations=100, prompts=20, partitions=3, left=(40, 2))
    assert (found.seconds, found.seconds_left) == (80.0, 40.0)
    assert found.startup_share == pytest.approx(30 / 80)


@given(pace=SECONDS, startup=SECONDS, evaluations=st.integers(1, 10**5), prompts=st.integers(1, 10**4))
def test_the_suggested_size_is_the_smallest_that_brings_the_start_ups_share_down_to_the_bound(
    pace: float, startup: float, evaluations: int, prompts: int
) -> None:
    suggested = estimate(Pace(pace, startup), evaluations, prompts, 1, (0, 0)).max_prompts

    def share(size: int) -> float:
        """Of one partition of `size` prompts, at this set's evaluations a prompt."""
        return startup / (startup + size * pace * evaluations / prompts)

    assert share(suggested) <= STARTUP_SHARE + 1e-9
    assert suggested == 1 or share(suggested - 1) > STARTUP_SHARE - 1e-9


@pytest.mark.parametrize("startup", [1.0, 2.0, 3.0, 4.0, 5.0])
def test_a_size_that_meets_the_bound_exactly_is_enough(startup: float) -> None:
    # 19 s of work, one prompt here, bear one second of start-up at 5 %.
    assert estimate(Pace(19.0, startup), evaluations=10, prompts=10, partitions=1, left=(0, 0)).max_prompts == startup


def test_nothing_to_do_costs_nothing() -> None:
    nothing = estimate(Pace(0.5, 0.0), evaluations=0, prompts=0, partitions=0, left=(0, 0))
    assert (nothing.seconds, nothing.startup_share) == (0.0, 0.0)


def test_without_start_up_costs_one_prompt_a_partition_will_do() -> None:
    assert estimate(Pace(0.5, 0.0), evaluations=100, prompts=20, partitions=3, left=(0, 0)).max_prompts == 1
