"""The shape of an embedding tree, and what it makes of the cases the formula leaves open."""

from __future__ import annotations

import numpy as np
import pytest

from hierflow.errors import InputError
from hierflow.tree import LINKAGES, EmbeddingTree

every_linkage = pytest.mark.parametrize("linkage", LINKAGES)


def random_tree(linkage: str, prompts: int = 37) -> EmbeddingTree:
    return EmbeddingTree.from_embeddings(np.random.default_rng(5).normal(size=(prompts, 6)), linkage)


def below(tree: EmbeddingTree, node: int) -> set[int]:
    if node < tree.leaves:
        return {node}
    left, right = tree.merges[node - tree.leaves]
    return below(tree, int(left)) | below(tree, int(right))


@every_linkage
def test_members_are_the_leaves_below_a_node_ascending(linkage: str) -> None:
    tree = random_tree(linkage)
    for node in range(2 * tree.leaves - 1):
        assert tree.members(node).tolist() == sorted(below(tree, node))
        assert tree.sizes[node] == len(below(tree, node))


@every_linkage
def test_every_node_holds_one_contiguous_run_of_the_leaf_order(linkage: str) -> None:
    tree = random_tree(linkage)
    assert sorted(tree.leaf_order) == list(range(tree.leaves))
    for node in range(2 * tree.leaves - 1):
        start = tree.leaf_starts[node]
        assert set(tree.leaf_order[start : start + tree.sizes[node]]) == below(tree, node)


@every_linkage
def test_parents_undo_merges(linkage: str) -> None:
    tree = random_tree(linkage)
    assert tree.parents[tree.root] == -1
    assert np.flatnonzero(tree.parents < 0).tolist() == [tree.root]
    for merge, children in enumerate(tree.merges):
        assert tree.parents[children].tolist() == [tree.leaves + merge] * 2


@every_linkage
def test_one_prompt_is_a_tree_of_one_leaf(linkage: str) -> None:
    tree = EmbeddingTree.from_embeddings([[1.0, 2.0]], linkage)
    assert (tree.leaves, tree.root, len(tree.merges), len(tree.heights)) == (1, 0, 0, 0)
    assert tree.members(0).tolist() == tree.leaf_order.tolist() == [0]
    assert tree.parents.tolist() == [-1]


@every_linkage
def test_two_prompts_merge_at_their_cosine_distance(linkage: str) -> None:
    tree = EmbeddingTree.from_embeddings([[1.0, 0.0], [5.0, 5.0]], linkage)
    assert tree.merges.tolist() == [[0, 1]]
    assert tree.heights[0] == pytest.approx(1 - np.sqrt(0.5), abs=1e-12)


@every_linkage
def test_identical_prompts_merge_at_height_zero(linkage: str) -> None:
    tree = EmbeddingTree.from_embeddings(np.tile([0.3, -1.7, 2.2], (9, 1)), linkage)
    np.testing.assert_allclose(tree.heights, 0.0, atol=1e-12)


@every_linkage
def test_the_length_of_two_embeddings_does_not_matter(linkage: str) -> None:
    E = np.array([[1.0, 2.0, 0.5], [2.0, 0.1, 1.0]])
    heights = [EmbeddingTree.from_embeddings(E * [[1.0], [scale]], linkage).heights for scale in (1.0, 1e3)]
    np.testing.assert_allclose(*heights, atol=1e-12)


@every_linkage
def test_a_zero_embedding_lies_at_distance_one_from_all_others(linkage: str) -> None:
    tree = EmbeddingTree.from_embeddings([[0.0, 0.0], [1.0, 1.0]], linkage)
    np.testing.assert_allclose(tree.heights, [1.0])
    both_zero = EmbeddingTree.from_embeddings([[0.0, 0.0], [0.0, 0.0]], linkage)
    np.testing.assert_allclose(both_zero.heights, [1.0])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@every_linkage
def test_the_first_row_that_is_not_finite_is_named(linkage: str, bad: float) -> None:
    E = np.ones((6, 3))
    E[4, 1] = E[5, 0] = bad
    with pytest.raises(InputError, match=r"^embeddings: 'row 4' holds NaN or infinity; .+\.$"):
        EmbeddingTree.from_embeddings(E, linkage)


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (4,), (2, 3, 4), ()])
def test_what_is_no_matrix_of_embeddings_is_refused_with_its_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError) as caught:
        EmbeddingTree.from_embeddings(np.ones(shape))
    assert str(shape) in str(caught.value)
    assert "one row a prompt" in str(caught.value)


def test_an_unknown_linkage_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        InputError, match=r"^linkage: 'single' is not a linkage; take one of ward, average, centroid\.$"
    ):
        EmbeddingTree.from_embeddings(np.ones((2, 2)), "single")


def test_lists_and_half_precision_are_read_as_float64() -> None:
    E = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float16)
    wide, narrow = EmbeddingTree.from_embeddings(E.tolist()), EmbeddingTree.from_embeddings(E)
    np.testing.assert_array_equal(wide.heights, narrow.heights)
    assert narrow.heights.dtype == np.float64
    assert narrow.merges.dtype == np.int64
