from __future__ import annotations

import math

import numpy as np
import pytest

from .centroid import eq45_tree


def at_degrees(*angles: float) -> np.ndarray:
    return np.array([[math.cos(math.radians(a)), math.sin(math.radians(a))] for a in angles])


def test_a_tree_worked_by_hand() -> None:
    # 0 and 10 degrees merge first, then 60 and 80; their means stand at 5 and 70 degrees.
    merges, heights = eq45_tree(at_degrees(0, 60, 10, 80))
    assert merges.tolist() == [[0, 2], [1, 3], [4, 5]]
    assert heights == pytest.approx([1 - math.cos(math.radians(d)) for d in (10, 20, 65)])


def test_every_member_of_a_mean_counts_once() -> None:
    # {0, 0, 12} has its mean near 4 degrees; the mean of the two means 0 and 12 would stand at 6.
    _, heights = eq45_tree(at_degrees(0, 0, 12, 60))
    mean = at_degrees(0, 0, 12).mean(0)
    assert heights[2] == pytest.approx(1 - mean @ at_degrees(60)[0] / np.linalg.norm(mean))


def test_a_merge_below_its_children_is_raised_to_them() -> None:
    # Three directions evenly around an axis: the mean of two is closer to the third than they to each other.
    around = np.column_stack([at_degrees(0, 120, 240), np.ones(3)])
    merges, heights = eq45_tree(around)
    assert merges[1].tolist() == [int({0, 1, 2}.difference(merges[0].tolist()).pop()), 3]
    assert heights[0] == heights[1] == pytest.approx(0.75)


def test_ties_go_to_the_smallest_ids_and_one_prompt_has_no_merges() -> None:
    merges, heights = eq45_tree(np.ones((4, 1)))
    assert (merges.tolist(), heights.tolist()) == ([[0, 1], [2, 3], [4, 5]], [0.0, 0.0, 0.0])
    assert [part.shape for part in eq45_tree(np.ones((1, 3)))] == [(0, 2), (0,)]
