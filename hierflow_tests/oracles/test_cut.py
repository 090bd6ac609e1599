from __future__ import annotations

import numpy as np
import pytest

from .cut import frontier

MERGES, HEIGHTS = np.array([[0, 2], [1, 3], [4, 5]]), np.array([0.0, 0.25, 0.75])


def clusters(tau: float, steps: int) -> list[list[set[int]]]:
    return [[set(c) for c in level] for level in frontier(MERGES, HEIGHTS, 4, tau, steps)]


def test_a_cut_worked_by_hand() -> None:
    # phi = 1, 0.75, 0.5, 0.25, 0: a node is a cluster while its height is at most phi.
    pairs, alone = [{0, 2}, {1, 3}], [{0}, {1}, {2}, {3}]
    assert clusters(1.0, 5) == [[{0, 1, 2, 3}], [{0, 1, 2, 3}], pairs, pairs, alone]


@pytest.mark.parametrize(("tau", "steps"), [(0.0, 3), (1.0, 1)])
def test_where_phi_is_zero_even_equal_prompts_are_alone(tau: float, steps: int) -> None:
    assert clusters(tau, steps) == [[{0}, {1}, {2}, {3}]] * steps


def test_one_prompt_is_its_own_cluster() -> None:
    assert frontier(np.empty((0, 2), int), np.empty(0), 1, 1.0, 2) == [[frozenset([0])]] * 2
