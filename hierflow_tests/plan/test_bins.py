"""Bins: the tree cut into partitions."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierflow.plan.partitions import TRUNK, cut_bins, leaves_of, most_central, owners
from hierflow.tree import EmbeddingTree
from hierflow_tests.plan.trees import grown, trees

SIZES = st.integers(1, 30)
quick = settings(max_examples=150, deadline=None)


@quick
@given(tree=trees(24), max_prompts=SIZES)
def test_every_prompt_lies_in_one_bin_of_at_most_the_largest_size(tree: EmbeddingTree, max_prompts: int) -> None:
    leaves = [leaves_of(tree, subtrees).tolist() for subtrees in cut_bins(tree, max_prompts)]
    assert sorted(leaf for group in leaves for leaf in group) == list(range(tree.leaves))
    assert all(1 <= len(group) <= max_prompts for group in leaves)
    assert all(group == sorted(group) for group in leaves)


@quick
@given(tree=trees(24), max_prompts=SIZES)
def test_bins_are_runs_of_neighbours_from_left_to_right(tree: EmbeddingTree, max_prompts: int) -> None:
    order = [
        int(leaf)
        for subtrees in cut_bins(tree, max_prompts)
        for node in subtrees
        for leaf in tree.leaf_order[tree.leaf_starts[node] : tree.leaf_starts[node] + tree.sizes[node]]
    ]
    assert order == tree.leaf_order.tolist()


@quick
@given(tree=trees(24), max_prompts=SIZES)
def test_a_subtree_is_cut_only_where_it_is_too_large(tree: EmbeddingTree, max_prompts: int) -> None:
    for subtrees in cut_bins(tree, max_prompts):
        for node in subtrees:
            parent = tree.parents[node]
            assert parent < 0 or tree.sizes[parent] > max_prompts


@quick
@given(tree=trees(24), max_prompts=SIZES)
def test_a_bin_is_full_before_the_next_one_is_opened(tree: EmbeddingTree, max_prompts: int) -> None:
    for here, after in pairwise(cut_bins(tree, max_prompts)):
        assert sum(tree.sizes[node] for node in here) + tree.sizes[after[0]] > max_prompts


@quick
@given(tree=trees(24), max_prompts=SIZES)
def test_a_node_is_owned_by_the_bin_that_holds_all_its_prompts_and_else_by_the_trunk(
    tree: EmbeddingTree, max_prompts: int
) -> None:
    bins = cut_bins(tree, max_prompts)
    owner = owners(tree, bins)
    inside = {int(n): index for index, subtrees in enumerate(bins) for n in subtrees}
    for node in range(2 * tree.leaves - 1):
        up = node
        while up >= 0 and up not in inside:
            up = int(tree.parents[up])
        assert owner[node] == (inside[up] if up >= 0 else TRUNK)


@quick
@given(tree=trees(12), data=st.data())
def test_a_subtree_within_another_ones_belongs_to_its_own_bin(tree: EmbeddingTree, data: st.DataObject) -> None:
    nodes = st.sets(st.integers(0, tree.root), max_size=6)
    inside = {node: data.draw(st.integers(0, 2)) for node in data.draw(nodes)}
    bins = [tuple(node for node, index in inside.items() if index == bin_) for bin_ in range(3)]
    owner = owners(tree, bins)
    for node in range(2 * tree.leaves - 1):
        up = node
        while up >= 0 and up not in inside:
            up = int(tree.parents[up])
        assert owner[node] == (inside[up] if up >= 0 else TRUNK)


def test_a_set_that_fits_is_one_bin_without_a_trunk() -> None:
    tree = grown(20)
    assert cut_bins(tree, 20) == [(tree.root,)]
    assert not owners(tree, cut_bins(tree, 20)).any()


def test_bins_of_one_prompt_leave_every_merge_to_the_trunk() -> None:
    tree = grown(20)
    assert cut_bins(tree, 1) == [(leaf,) for leaf in tree.leaf_order]
    assert (owners(tree, cut_bins(tree, 1))[tree.leaves :] == TRUNK).all()


def test_the_most_central_prompt_is_the_one_closest_in_direction_to_the_mean() -> None:
    E = np.array([[0.0, 9.0], [1.0, 0.0], [5.0, 5.0], [0.0, 0.0]])
    assert most_central(E, np.array([0, 1, 2, 3])) == 2  # lengths have no say
    assert most_central(E, np.array([0, 1])) == 0  # the first of equals
    pairs = np.random.default_rng(0).normal(size=(200, 2, 768))
    assert {most_central(pair, np.array([0, 1])) for pair in pairs} == {0}  # though their cosines round differently
    assert most_central(E, np.array([3])) == 3


@pytest.mark.parametrize("max_prompts", [1, 3, 7])
def test_the_cut_of_a_tree_depends_on_nothing_but_the_tree(max_prompts: int) -> None:
    assert cut_bins(grown(30), max_prompts) == cut_bins(grown(30), max_prompts)
