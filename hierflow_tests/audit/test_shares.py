"""Every step of a node is carried equally by the images under it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierflow.audit.shares import shares
from hierflow.plan.segments import Plan
from hierflow.tree import EmbeddingTree
from hierflow_tests.plan.trees import TAUS, grown, trees


def lengths(plan: Plan) -> dict[int, float]:
    """Every segment's evaluations."""
    return {segment: float(plan.last[segment] - plan.first[segment] + 1) for segment in range(len(plan.nodes))}


def carrying(plan: Plan, segment: int, images: np.ndarray) -> int:
    return int(images[plan.tree.members(int(plan.nodes[segment]))].sum())


@settings(max_examples=150, deadline=None)
@given(tree=trees(), tau=TAUS, steps=st.integers(1, 20), data=st.data())
def test_shares_of_all_images_add_up_to_what_was_shared(
    tree: EmbeddingTree, tau: float, steps: int, data: st.DataObject
) -> None:
    counts = st.lists(st.integers(0, 3), min_size=tree.leaves, max_size=tree.leaves)
    plan, images = tree.plan(tau, steps), np.array(data.draw(counts))
    each = shares(plan, lengths(plan), images)
    total = sum(length for segment, length in lengths(plan).items() if carrying(plan, segment, images))
    assert each @ images == pytest.approx(total)


@settings(max_examples=100, deadline=None)
@given(tree=trees(), tau=TAUS, steps=st.integers(1, 20))
def test_with_one_image_a_prompt_shares_add_up_to_the_plan(tree: EmbeddingTree, tau: float, steps: int) -> None:
    plan = tree.plan(tau, steps)
    assert shares(plan, lengths(plan), np.ones(tree.leaves, np.int64)).sum() == pytest.approx(plan.evaluations)


def test_an_images_share_is_its_path_with_every_step_divided_by_those_who_share_it() -> None:
    plan, images = grown(17).plan(1.5, 10), np.arange(17) % 3
    each = shares(plan, lengths(plan), images)
    for leaf in np.flatnonzero(images):
        expected = sum(lengths(plan)[segment] / carrying(plan, segment, images) for segment in plan.path(int(leaf)))
        assert each[leaf] == pytest.approx(expected)


def test_only_the_given_segments_are_distributed() -> None:
    plan = grown(17).plan(1.5, 10)
    shared = int(np.flatnonzero(plan.is_split)[0])
    each = shares(plan, {shared: 6.0}, np.ones(17, np.int64))
    members = plan.tree.members(int(plan.nodes[shared]))
    assert each[members].tolist() == pytest.approx([6.0 / len(members)] * len(members))
    assert each.sum() == pytest.approx(6.0)


def test_nothing_executed_costs_nobody_anything() -> None:
    assert not shares(grown(5).plan(1.0, 4), {}, np.ones(5, np.int64)).any()
