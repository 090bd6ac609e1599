"""The tau of a budget."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierflow.errors import InputError
from hierflow.plan.budget import tau_within
from hierflow.plan.segments import compile_plan
from hierflow.tree import EmbeddingTree
from hierflow_tests.plan.trees import grown, trees

quick = settings(max_examples=150, deadline=None)


def share(tree: EmbeddingTree, tau: float, steps: int) -> float:
    return 1.0 - compile_plan(tree, tau, steps).saved


@quick
@given(trees(), st.integers(1, 9), st.floats(0.05, 1.0))
def test_the_plan_is_within_the_budget_and_with_any_smaller_tau_it_is_not(
    tree: EmbeddingTree, steps: int, budget: float
) -> None:
    try:
        tau = tau_within(budget, tree, steps)
    except InputError:
        assert share(tree, 1e9, steps) > budget
        return
    assert share(tree, tau, steps) <= budget
    heights = tree.heights[tree.heights > 0]
    if tau > 1e-3 * heights.min(initial=1.0):  # else it lets equal embeddings share, which any positive tau does
        assert share(tree, tau * (1 - 1e-9), steps) > budget


def test_a_whole_budget_shares_nothing() -> None:
    assert tau_within(1.0, grown(9), 10) == 0.0


def test_less_than_everything_shared_is_refused_with_what_can_be_had() -> None:
    with pytest.raises(InputError, match=r"still takes 0\.2000 of the standard") as caught:
        tau_within(0.1, grown(9), 10)  # nine steps of the root and nine leaves, of ninety
    assert caught.value.field == "sharing.budget"


@quick
@given(trees(), st.floats(0.3, 1.0), st.data())
def test_prompts_that_may_not_share_are_budgeted_apart(
    tree: EmbeddingTree, budget: float, data: st.DataObject
) -> None:
    chosen = data.draw(st.lists(st.booleans(), min_size=tree.leaves, max_size=tree.leaves))
    lanes = [mask for mask in (np.array(chosen), ~np.array(chosen)) if mask.any()]
    try:
        tau = tau_within(budget, tree, 6, [np.flatnonzero(live) for live in lanes])
    except InputError:
        return
    planned = sum(compile_plan(tree, tau, 6, live).evaluations for live in lanes)
    assert planned <= budget * tree.leaves * 6
