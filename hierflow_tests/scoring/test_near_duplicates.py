"""Near-duplicates: every pair above the threshold, but for images of one prompt."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierflow.scoring import near_duplicates as module
from hierflow.scoring.near_duplicates import near_duplicates


def units(seed: int, count: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, 4))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_images_of_one_prompt_are_no_duplicates() -> None:
    embeddings = np.array([[1.0, 0.0], [1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    found = near_duplicates(embeddings, ["a", "a", "b", "c"], 0.75)
    assert found.pairs.tolist() == [[0, 2], [1, 2]]
    assert found.similarity == pytest.approx([0.8, 0.8])


def test_the_most_alike_come_first() -> None:
    angles = np.radians([0.0, 30.0, 40.0])
    found = near_duplicates(np.column_stack([np.cos(angles), np.sin(angles)]), ["a", "b", "c"], 0.7)
    assert found.pairs.tolist() == [[1, 2], [0, 1], [0, 2]]


@settings(deadline=None)  # the first call imports scikit-learn
@given(st.integers(0, 99), st.integers(0, 40), st.integers(1, 7), st.floats(-0.9, 0.9))
def test_blocks_find_what_a_loop_over_pairs_finds(seed: int, count: int, block: int, threshold: float) -> None:
    embeddings, prompts = units(seed, count), [f"prompt {row % 11}" for row in range(count)]
    expected = {
        (one, other)
        for other in range(count)
        for one in range(other)
        if prompts[one] != prompts[other] and embeddings[one] @ embeddings[other] >= threshold
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "WORKING_MEMORY", block * max(count, 1) * 8 / 2**20)
        found = near_duplicates(embeddings, prompts, threshold)
    assert {tuple(pair) for pair in found.pairs.tolist()} == expected
    assert len(found.pairs) == found.found == len(expected)
    assert (np.diff(found.similarity) <= 0).all()


@settings(deadline=None)
@given(st.integers(0, 99), st.integers(1, 7), st.integers(1, 30))
def test_of_many_all_are_counted_and_the_closest_kept(seed: int, block: int, most: int) -> None:
    embeddings, prompts = units(seed, 20), [str(row) for row in range(20)]
    everything = near_duplicates(embeddings, prompts, -0.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "WORKING_MEMORY", block * 20 * 8 / 2**20)
        patch.setattr(module, "MOST", most)
        found = near_duplicates(embeddings, prompts, -0.5)
    assert found.found == everything.found
    assert found.pairs.tolist() == everything.pairs[:most].tolist()


def test_pairs_that_are_equally_alike_stay_in_order() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "WORKING_MEMORY", 7 * 60 * 8 / 2**20)
        found = near_duplicates(np.tile([0.6, 0.8], (60, 1)), [str(row) for row in range(60)], 0.9)
    assert found.found == 60 * 59 // 2
    assert found.pairs.tolist() == list(map(list, itertools.combinations(range(60), 2)))[: module.MOST]


def test_wrong_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="2 embeddings for 1 prompts"):
        near_duplicates(units(0, 2), ["a"], 0.9)
