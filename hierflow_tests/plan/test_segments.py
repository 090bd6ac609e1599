"""The plan: a tree cut at every step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster

from hierflow.errors import InputError
from hierflow.plan.schedule import phi
from hierflow.tree import LINKAGES, EmbeddingTree
from hierflow_tests.oracles.cut import frontier
from hierflow_tests.plan.trees import TAUS, grown, trees

STEPS = st.integers(1, 20)
quick = settings(max_examples=120, deadline=None)


def clusters(labels: np.ndarray) -> list[frozenset[int]]:
    """What is labelled alike, ordered by the smallest member."""
    found = [frozenset(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels)]
    return sorted(found, key=min)


def as_scipy(tree: EmbeddingTree) -> np.ndarray:
    return np.column_stack([tree.merges, tree.heights, tree.sizes[tree.leaves :]]).astype(float)


@quick
@given(tree=trees(), tau=TAUS, steps=STEPS)
def test_each_step_is_scipys_flat_clustering_at_phi(tree: EmbeddingTree, tau: float, steps: int) -> None:
    plan = tree.plan(tau, steps)
    for k, threshold in enumerate(np.linspace(0, tau, steps)[::-1], start=1):
        if threshold > 0 and tree.leaves > 1:
            assert clusters(plan.assignment(k)) == clusters(fcluster(as_scipy(tree), threshold, "distance"))
        else:
            assert plan.assignment(k).tolist() == list(range(tree.leaves))


@quick
@given(tree=trees(), tau=TAUS, steps=STEPS)
def test_the_plan_is_the_definition_written_out(tree: EmbeddingTree, tau: float, steps: int) -> None:
    expected = frontier(tree.merges, tree.heights, tree.leaves, tau, steps)
    plan = tree.plan(tau, steps)
    assert [clusters(plan.assignment(k)) for k in range(1, steps + 1)] == expected


@pytest.mark.parametrize("linkage", LINKAGES)
@pytest.mark.parametrize("shared", [0.0, 8.0])
def test_the_definition_holds_for_trees_of_every_linkage(linkage: str, shared: float) -> None:
    E = np.random.default_rng(2).normal(size=(30, 5)) + shared
    E[7:10] = E[3]
    tree = EmbeddingTree.from_embeddings(E, linkage)
    for tau in (0.0, 0.3 * tree.heights[-1], tree.heights[-1], 2 * tree.heights[-1]):
        plan = tree.plan(tau, 12)
        expected = frontier(tree.merges, tree.heights, tree.leaves, tau, 12)
        assert [clusters(plan.assignment(k)) for k in range(1, 13)] == expected


@quick
@given(tree=trees(), tau=TAUS, steps=STEPS)
def test_a_prompts_serving_node_holds_it_and_who_parts_never_meets_again(
    tree: EmbeddingTree, tau: float, steps: int
) -> None:
    plan, before = tree.plan(tau, steps), np.full(tree.leaves, tree.root)
    for k in range(1, steps + 1):
        serving = plan.assignment(k)
        for leaf, node in enumerate(serving):
            assert leaf in tree.members(node)
            assert set(tree.members(node)) <= set(tree.members(before[leaf]))
        before = serving
    assert plan.assignment(steps).tolist() == list(range(tree.leaves))


@quick
@given(tree=trees(), tau=TAUS, steps=STEPS)
def test_evaluations_are_the_frontiers_added_up_and_the_segments_added_up(
    tree: EmbeddingTree, tau: float, steps: int
) -> None:
    plan = tree.plan(tau, steps)
    frontiers = [len(set(plan.assignment(k).tolist())) for k in range(1, steps + 1)]
    assert plan.frontier_sizes.tolist() == [len(plan.active(k)) for k in range(1, steps + 1)] == frontiers
    assert plan.evaluations == sum(frontiers)
    assert plan.evaluations == sum(plan.last - plan.first + 1)
    assert plan.standard_evaluations == tree.leaves * steps
    assert plan.saved == pytest.approx(1 - sum(frontiers) / (tree.leaves * steps))
    assert 0 <= plan.saved < 1


@quick
@given(tree=trees(), tau=TAUS, steps=STEPS)
def test_a_path_takes_every_step_once_with_the_node_that_serves_it(
    tree: EmbeddingTree, tau: float, steps: int
) -> None:
    plan = tree.plan(tau, steps)
    for leaf in range(tree.leaves):
        walked = [(k, int(plan.nodes[s])) for s in plan.path(leaf) for k in range(plan.first[s], plan.last[s] + 1)]
        assert walked == [(k, int(plan.assignment(k)[leaf])) for k in range(1, steps + 1)]


@quick
@given(tree=trees(), tau=TAUS, steps=STEPS)
def test_segments_start_where_their_parent_ends_and_come_after_it(
    tree: EmbeddingTree, tau: float, steps: int
) -> None:
    plan = tree.plan(tau, steps)
    for segment, parent in enumerate(plan.parent):
        assert parent < segment
        assert plan.first[segment] == (1 if parent < 0 else plan.last[parent] + 1)
        assert plan.segment_of_node[plan.nodes[segment]] == segment
    assert plan.is_split.tolist() == [segment in plan.parent for segment in range(len(plan.nodes))]
    assert np.count_nonzero(plan.segment_of_node >= 0) == len(plan.nodes)


@quick
@given(tree=trees(), taus=st.lists(TAUS, min_size=2, max_size=5), steps=STEPS)
def test_a_larger_tau_never_costs_more(tree: EmbeddingTree, taus: list[float], steps: int) -> None:
    costs = [tree.plan(tau, steps).evaluations for tau in sorted(taus)]
    assert costs == sorted(costs, reverse=True)


@pytest.mark.parametrize(("tau", "steps"), [(0.0, 40), (0.0, 1), (5.0, 1)])
def test_tau_zero_and_a_single_step_share_nothing_even_between_identical_prompts(tau: float, steps: int) -> None:
    plan = EmbeddingTree.from_embeddings(np.ones((4, 3))).plan(tau, steps)
    assert plan.saved == 0
    assert plan.evaluations == 4 * steps
    assert plan.parent.tolist() == [-1] * 4


def test_identical_prompts_share_all_steps_but_the_last() -> None:
    plan = EmbeddingTree.from_embeddings(np.ones((4, 3))).plan(0.5, 10)
    assert plan.frontier_sizes.tolist() == [1] * 9 + [4]


def test_one_prompt_takes_every_step_in_one_segment() -> None:
    plan = EmbeddingTree.from_embeddings([[1.0]]).plan(1.0, 7)
    assert (plan.first.tolist(), plan.last.tolist(), plan.nodes.tolist()) == ([1], [7], [0])
    assert plan.saved == 0


def test_a_tau_above_the_root_starts_from_one_node_and_one_below_it_does_not() -> None:
    tree = grown()
    assert tree.plan(tree.heights[-1] * 1.01, 10).frontier_sizes[0] == 1
    assert tree.plan(tree.heights[-1] * 0.99, 10).frontier_sizes[0] > 1


def test_phi_falls_in_equal_steps_from_tau_to_zero() -> None:
    np.testing.assert_allclose(phi(2.0, 5), [2.0, 1.5, 1.0, 0.5, 0.0])
    assert phi(2.0, 1).tolist() == [0.0]
    assert phi(np.float32(0.5), np.int64(2)).tolist() == [0.5, 0.0]


@pytest.mark.parametrize("tau", [-0.1, float("nan"), float("inf"), -float("inf"), True, "1.0", None])
def test_a_tau_that_is_no_number_from_zero_up_is_refused(tau: object) -> None:
    with pytest.raises(InputError, match=r"^tau: .*is not a number of at least 0; 0 shares nothing"):
        grown(4).plan(tau, 10)  # type: ignore[arg-type]


@pytest.mark.parametrize("steps", [0, -3, True, 1.5, 4.0, "40", float("nan")])
def test_steps_that_are_no_whole_number_from_one_up_are_refused(steps: object) -> None:
    with pytest.raises(InputError, match=r"^steps: .* is not a whole number of at least 1; "):
        grown(4).plan(1.0, steps)  # type: ignore[arg-type]


@pytest.mark.parametrize("k", [0, 11, -1])
def test_steps_outside_the_plan_are_refused(k: int) -> None:
    with pytest.raises(ValueError, match=rf"step {k} is not in 1 \.\. 10"):
        grown(4).plan(1.0, 10).assignment(k)
