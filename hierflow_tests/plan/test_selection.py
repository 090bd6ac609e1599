"""The prompts of a first look: spread over the tree, and a larger look only adds to a smaller one."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hierflow.plan.selection import spread_leaves
from hierflow.tree import EmbeddingTree
from hierflow_tests.plan.trees import trees


@st.composite
def trees_with_retired(draw: st.DrawFn) -> tuple[EmbeddingTree, np.ndarray]:
    tree = draw(trees())
    return tree, np.array(draw(st.lists(st.booleans(), min_size=tree.leaves, max_size=tree.leaves)))


def clusters_of(tree: EmbeddingTree, live: np.ndarray, count: int) -> list[set[int]]:
    """The live leaves in the clusters that are left when the highest merges are undone, until there are `count`."""
    nodes = [tree.root]
    for node in range(tree.root, tree.leaves - 1, -1):
        own = [set(tree.members(each).tolist()) & set(np.flatnonzero(live).tolist()) for each in nodes]
        if len(found := [members for members in own if members]) == count:
            return found
        nodes.remove(node)
        nodes += tree.merges[node - tree.leaves].tolist()
    return [{leaf} for leaf in np.flatnonzero(live).tolist()]


@given(trees_with_retired())
def test_the_first_n_leaves_are_one_of_each_of_n_clusters(drawn: tuple[EmbeddingTree, np.ndarray]) -> None:
    tree, live = drawn
    leaves = list(spread_leaves(tree, live))
    assert sorted(leaves) == np.flatnonzero(live).tolist()
    for count in range(1, len(leaves) + 1):
        clusters = clusters_of(tree, live, count)
        assert len(clusters) == count
        assert sorted(len(cluster & set(leaves[:count])) for cluster in clusters) == [1] * count


def test_the_leaf_of_a_cluster_lies_in_its_larger_branch() -> None:
    merges = np.array([[0, 1], [4, 2], [5, 3]])  # ((0, 1), 2), 3
    tree = EmbeddingTree(merges, np.array([1.0, 2.0, 3.0]), "ward")
    assert list(spread_leaves(tree, np.ones(4, bool))) == [0, 3, 2, 1]
    assert list(spread_leaves(tree, np.array([False, True, True, True]))) == [1, 3, 2]
