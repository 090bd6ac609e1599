"""The linkages against scipy and against the paper's Eq. 3-5 written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy.cluster import hierarchy
from scipy.spatial.distance import pdist

from hierflow.tree import LINKAGES, EmbeddingTree, linkage, memory
from hierflow_tests.oracles.centroid import eq45_tree


def embeddings(seed: int, prompts: int, dimensions: int, shared: float = 0.0) -> np.ndarray:
    """Random rows; `shared` is the length of a mean they have in common, as text embeddings have."""
    rng = np.random.default_rng(seed)
    E = rng.normal(size=(prompts, dimensions))
    return E + shared * rng.normal(size=dimensions)


def smallest_gap(E: np.ndarray, merges: np.ndarray) -> float:
    """How clearly the closest pair was closest, at the merge where that was least clear."""
    sums = dict(enumerate(E))
    gap = np.inf
    for merge, (i, j) in enumerate(merges):
        distances = np.sort(pdist(np.array(list(sums.values())), "cosine"))
        if len(distances) > 1:
            gap = min(gap, distances[1] - distances[0])
        sums[len(E) + merge] = sums.pop(i) + sums.pop(j)
    return float(gap)


@pytest.mark.parametrize("linkage", ["ward", "average"])
@pytest.mark.parametrize("shared", [0.0, 20.0])
def test_ward_and_average_are_scipys_on_cosine_distances(linkage: str, shared: float) -> None:
    E = embeddings(3, 60, 12, shared)
    Z = hierarchy.linkage(pdist(E, "cosine"), linkage)
    tree = EmbeddingTree.from_embeddings(E, linkage)
    np.testing.assert_array_equal(tree.merges, Z[:, :2])
    np.testing.assert_allclose(tree.heights, Z[:, 2], rtol=0, atol=1e-12)


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    prompts=st.integers(2, 24),
    dimensions=st.sampled_from([2, 3, 8, 24]),
    shared=st.sampled_from([0.0, 1.0, 30.0]),
)
@example(seed=0, prompts=40, dimensions=8, shared=0.0)
@example(seed=1, prompts=40, dimensions=3, shared=30.0)
def test_centroid_is_the_papers_equations(seed: int, prompts: int, dimensions: int, shared: float) -> None:
    E = embeddings(seed, prompts, dimensions, shared)
    merges, heights = eq45_tree(E)
    assume(smallest_gap(E, merges) > 1e-10)
    tree = EmbeddingTree.from_embeddings(E, "centroid")
    np.testing.assert_array_equal(tree.merges, merges)
    np.testing.assert_allclose(tree.heights, heights, rtol=0, atol=1e-9)


@pytest.mark.parametrize("rows", [1, 7, 20, 59, 60])
def test_centroid_in_blocks_is_the_same_tree(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    E = np.random.default_rng(rows).integers(-50, 50, size=(60, 8))  # whole numbers: sums are exact in any order
    whole = EmbeddingTree.from_embeddings(E, "centroid")
    monkeypatch.setattr(linkage, "BLOCK_ROWS", rows)
    blocks = EmbeddingTree.from_embeddings(E, "centroid")
    np.testing.assert_array_equal(blocks.merges, whole.merges)
    np.testing.assert_array_equal(blocks.heights, whole.heights)


@pytest.mark.slow
def test_centroid_of_as_many_prompts_as_crash_one_product() -> None:
    if not memory.has_room(20_000):
        pytest.skip("a tree of 20,000 prompts takes 3.2 GB of memory")
    tree = EmbeddingTree.from_embeddings(embeddings(0, 20_000, 768, 1.0), "centroid")
    assert sorted(tree.merges.ravel()) == list(range(2 * 20_000 - 2))


def test_centroid_weighs_every_prompt_once_and_not_every_cluster() -> None:
    # Three rows at 0 degrees and one at 20 have their mean near 5 degrees; a mean of means would lie at 10.
    angles = np.radians([0.0, 0.1, 0.2, 20.0, 60.0])
    tree = EmbeddingTree.from_embeddings(np.column_stack([np.cos(angles), np.sin(angles)]), "centroid")
    members = np.column_stack([np.cos(angles[:4]), np.sin(angles[:4])]).mean(axis=0)
    expected = 1 - members @ [np.cos(angles[4]), np.sin(angles[4])] / np.linalg.norm(members)
    assert tree.heights[-1] == pytest.approx(expected, abs=1e-12)


def test_a_mean_that_comes_closer_than_its_parts_raises_no_inversion() -> None:
    # The corners of a triangle are 1 apart pairwise; the mean of two is closer to the third than that.
    tree = EmbeddingTree.from_embeddings(np.eye(3), "centroid")
    np.testing.assert_allclose(tree.heights, [1.0, 1.0], atol=1e-12)


@pytest.mark.parametrize("linkage", LINKAGES)
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    prompts=st.integers(2, 40),
    shared=st.sampled_from([0.0, 5.0]),
    twins=st.integers(0, 10),
    zeros=st.integers(0, 3),
)
def test_every_linkage_gives_a_binary_tree_with_ascending_heights(
    linkage: str, seed: int, prompts: int, shared: float, twins: int, zeros: int
) -> None:
    E = embeddings(seed, prompts, 5, shared)
    E[: min(twins, prompts)] = E[0]
    E[:zeros] = 0.0
    tree = EmbeddingTree.from_embeddings(E, linkage)
    assert sorted(tree.merges.ravel()) == list(range(2 * prompts - 2))  # every node but the root has one parent
    assert (tree.merges.max(axis=1) < prompts + np.arange(prompts - 1)).all()  # children come before parents
    assert (np.diff(tree.heights) >= 0).all()
    assert tree.heights.min() >= 0
    assert np.isfinite(tree.heights).all()
