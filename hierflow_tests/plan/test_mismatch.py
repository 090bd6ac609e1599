"""How far prompts are from what they are denoised with."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierflow.plan.mismatch import directions, founding_directions, mean_mismatch
from hierflow.plan.segments import compile_plan
from hierflow.tree import EmbeddingTree
from hierflow.tree.planted import PlantedTree
from hierflow_tests.oracles.centroid import cluster_mean
from hierflow_tests.oracles.grafting import mismatch
from hierflow_tests.tree.growths import Story, stories

quick = settings(max_examples=80, deadline=None)


def random_vectors(rows: int, seed: int) -> np.ndarray:
    """Embeddings, some of them equal, some zero."""
    return np.random.default_rng(seed).integers(-1, 3, size=(rows, 3)).astype(float)


@quick
@given(story=stories(), seed=st.integers(0, 99))
def test_a_nodes_frozen_mean_is_that_of_the_prompts_it_was_made_from(story: Story, seed: int) -> None:
    planted = story.planted
    vectors = random_vectors(planted.tree.leaves, seed)
    means = founding_directions(planted, vectors)
    for node in range(2 * planted.tree.leaves - 1):
        mean = np.array(cluster_mean(vectors, planted.founding_members(node).tolist()))
        length = np.linalg.norm(mean)
        np.testing.assert_allclose(means[node], mean / length if length > 1e-12 else 0.0, atol=1e-12)


@quick
@given(story=stories(), seed=st.integers(0, 99), data=st.data())
def test_the_mean_mismatch_is_that_of_every_live_prompt_at_every_step(
    story: Story, seed: int, data: st.DataObject
) -> None:
    planted, leaves = story.planted, story.planted.tree.leaves
    vectors = random_vectors(leaves, seed) + np.array([3.0, 0, 0])  # none is zero
    live = np.array(data.draw(st.lists(st.booleans(), min_size=leaves, max_size=leaves)), dtype=bool)
    live[data.draw(st.integers(0, leaves - 1))] = True
    plan = compile_plan(planted.tree, story.tau, story.steps, live)
    leaf_of = planted.leaf_of
    total = 0.0
    for leaf in np.flatnonzero(live):
        path = [(0, sorted(leaf_of[text] for text in founders)) for founders in story.paths[leaf]]
        total += mismatch([vectors[leaf].tolist()], path, vectors, story.steps)
    found = mean_mismatch(plan, vectors, founding_directions(planted, vectors))
    assert found == pytest.approx(total / live.sum(), abs=1e-9)


@quick
@given(story=stories(), seed=st.integers(0, 99))
def test_a_graft_does_not_move_what_was_there(story: Story, seed: int) -> None:
    """Not by a bit: the budget of the next graft hangs on it."""
    vectors = random_vectors(story.planted.tree.leaves, seed)
    for planted, _, after in story.rounds:
        leaves = planted.tree.leaves
        old = founding_directions(planted, vectors[:leaves])
        new = founding_directions(after.planted, vectors[: after.planted.tree.leaves])
        assert np.array_equal(new[after.moved], old)


def test_prompts_that_share_nothing_are_at_no_distance() -> None:
    vectors = np.random.default_rng(3).normal(size=(5, 4))
    planted = PlantedTree(EmbeddingTree.from_embeddings(vectors), tuple("abcde"), "enc")
    means = founding_directions(planted, vectors)
    assert mean_mismatch(planted.tree.plan(0.0, 6), vectors, means) == 0
    assert mean_mismatch(planted.tree.plan(9.0, 6), vectors, means) > 0


def test_directions_have_length_one_and_a_zero_has_none() -> None:
    assert directions(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist() == [[0.6, 0.8], [0.0, 0.0]]
