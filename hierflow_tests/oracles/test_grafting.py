from __future__ import annotations

import math

import numpy as np
import pytest

from .grafting import Path, cheapest_places, cuts, mismatch, place


def at_degrees(*angles: float) -> np.ndarray:
    return np.array([[math.cos(math.radians(a)), math.sin(math.radians(a))] for a in angles])


def distance(degrees: float) -> float:
    return 1 - math.cos(math.radians(degrees))


E = at_degrees(0, 20)
PATHS: list[Path] = [[(2, [0, 1]), (2, [0, 1]), (leaf, [leaf]), (leaf, [leaf])] for leaf in range(2)]
"""Two prompts that share the first two of four steps, at 10 degrees."""
ALONE = (np.empty((0, 2), int), np.empty(0))


def test_a_mismatch_worked_by_hand() -> None:
    (mean,) = at_degrees(15).tolist()
    assert mismatch([mean], PATHS[0], E, 1) == pytest.approx(distance(5))
    assert mismatch([mean], PATHS[0], E, 3) == pytest.approx(2 * distance(5) + distance(15))
    assert mismatch([mean], PATHS[1], E, 4) == pytest.approx(4 * distance(5))


def test_a_clusters_mismatch_is_its_prompts_and_not_that_of_their_mean() -> None:
    assert mismatch(at_degrees(0, 20).tolist(), PATHS[0], E, 2) == pytest.approx(2 * distance(10))


@pytest.mark.parametrize(
    ("degrees", "budget", "expected"),
    [
        (15, 2 * distance(5) + distance(10), (1, 3)),  # on to prompt 1; prompt 0 is too far ...
        (15, 2.5 * distance(5), (2, 2)),  # ... and both are, with less to spend
        (15, 0, (-1, 0)),
        (10, 9, (0, 3)),  # as far from either
        (0, 2 * distance(10), (0, 3)),  # at no distance from prompt 0 itself
    ],
)
def test_a_prompt_leaves_where_it_has_gone_the_longest_way(
    degrees: float, budget: float, expected: tuple[int, int]
) -> None:
    assert place([at_degrees(degrees)[0].tolist()], PATHS, E, 1.0, budget) == expected


def test_where_phi_is_zero_nobody_shares() -> None:
    assert place([[1.0, 0.0]], PATHS, E, 0.0, 9.0) == (-1, 0)


def test_every_division_of_four_prompts() -> None:
    merges = np.array([[0, 1], [2, 3], [4, 5]])
    found = {tuple(sorted(cut)) for cut in cuts(merges, 4, 6)}
    assert found == {(6,), (4, 5), (0, 1, 5), (2, 3, 4), (0, 1, 2, 3)}


def test_two_prompts_are_divided_where_each_alone_goes_farther_than_both_together() -> None:
    merges, heights = np.array([[0, 1]]), np.array([0.3])
    # At 0 and 20 degrees, their node at 10: all three steps that can be shared, if the budget is large.
    together = cheapest_places(merges, heights, E, PATHS, E, tau=1.0, budget=9.0, max_prompts=2)
    assert together == (2, {frozenset([0, 1]): (0, 3)})
    narrow = cheapest_places(merges, heights, E, PATHS, E, tau=1.0, budget=2 * distance(10), max_prompts=1)
    assert narrow == (2, {frozenset([0]): (0, 3), frozenset([1]): (1, 3)})
    one = cheapest_places(*ALONE, E[:1], PATHS, E, tau=1.0, budget=0.0, max_prompts=1)
    assert one == (4, {frozenset([0]): (-1, 0)})


def test_two_prompts_that_are_not_alike_part_although_their_mean_could_go_on() -> None:
    merges, heights = np.array([[0, 1]]), np.array([0.4])  # phi is 1, 2/3, 1/3, 0: together at two steps
    apart = cheapest_places(merges, heights, E, PATHS, E, tau=1.0, budget=9.0, max_prompts=2)
    assert apart == (2, {frozenset([0]): (0, 3), frozenset([1]): (0, 3)})
    assert place([[1.0, 0.0]], PATHS, E, 1.0, 9.0, height=0.4) == (2, 2)
