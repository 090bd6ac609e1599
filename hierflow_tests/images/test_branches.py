"""The map of the branches shows what the plan says, and stays light."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hierflow.images.branches import BranchMap, branch_map, level_of
from hierflow.plan.segments import Plan, compile_plan
from hierflow.tree import EmbeddingTree

RECTANGLE = re.compile(r"M([\d.]+) ([\d.]+)h([\d.]+)v([\d.]+)h-([\d.]+)z")


def plan_of(prompts: int, tau: float, steps: int, seed: int = 0, retired: int = 0) -> Plan:
    """A plan over prompts in loose groups, some of them retired."""
    rng = np.random.default_rng(seed)
    groups = rng.normal(size=(max(prompts // 8, 1), 8))
    count = prompts + retired
    embeddings = groups[rng.integers(len(groups), size=count)] + 0.3 * rng.normal(size=(count, 8))
    live = np.isin(np.arange(count), rng.choice(count, prompts, replace=False))
    return compile_plan(EmbeddingTree.from_embeddings(embeddings), tau, steps, live)


def bands_of(drawn: BranchMap) -> np.ndarray:
    """(B, 5) every band's shade, left, top, width and height."""
    found = []
    for level, path in drawn.shades:
        assert RECTANGLE.sub("", path) == ""
        for left, top, width, height, back in (map(float, match) for match in RECTANGLE.findall(path)):
            assert width == back
            found.append((level, left, top, width, height))
    return np.array(found)


@settings(max_examples=20, deadline=None)
@given(
    st.integers(1, 70),
    st.sampled_from([0, 0.3, 1.0, 9.0]),
    st.sampled_from([1, 2, 9, 1000]),
    st.integers(0, 99),
    st.integers(0, 9),
)
@example(prompts=40, tau=0.3, steps=1000, seed=14, retired=3)  # a branch that ends at the step in the middle
def test_at_every_step_every_prompt_has_the_shade_of_those_it_shares_with(
    prompts: int, tau: float, steps: int, seed: int, retired: int
) -> None:
    plan = plan_of(prompts, tau, steps, seed, retired)
    drawn = branch_map(plan)
    shades, left, top, width, height = bands_of(drawn).T
    for step in {1, (steps + 1) // 2, steps}:
        serving = plan.assignment(step)
        for place, leaf in enumerate(plan.leaf_order):
            x, y = step - 0.75, (place + 0.4) * drawn.height / prompts
            here = (left <= x) & (x < left + width) & (top <= y) & (y < top + height)
            expected = [level_of(int((serving == serving[leaf]).sum()))]
            end = min(step + steps // 400, steps)  # behind a band there is a gap of 1/400 of the width
            is_in_gap = not here.any() and plan.assignment(end + (end < steps))[leaf] != serving[leaf]
            assert is_in_gap or shades[here].tolist() == expected


def test_the_table_names_the_segment_of_every_step() -> None:
    plan = plan_of(30, 0.6, 12, retired=5)
    table = branch_map(plan).table
    for segment in range(len(plan.nodes)):
        parent = table["parent"][segment]
        assert (table["last"][parent] if parent >= 0 else 0) + 1 == plan.first[segment]
        members = plan.leaf_order[table["start"][segment] :][: table["size"][segment]]
        assert set(members) == set(plan.tree.members(table["node"][segment])) & set(plan.leaf_order)


def test_nodes_bear_the_names_they_are_given() -> None:
    plan = plan_of(30, 0.6, 12)
    labels = np.arange(59)[::-1]
    assert branch_map(plan, labels).table["node"] == (58 - plan.nodes).tolist()


@pytest.mark.parametrize("tau", [0.0, 0.4, 1.0])
def test_two_thousand_prompts_are_drawn_as_lightly_as_two_hundred(tau: float) -> None:
    drawn = branch_map(plan_of(2000, tau, 50))
    assert drawn.height == 240
    assert sum(len(path) for _, path in drawn.shades) < 30_000


@pytest.mark.parametrize(
    ("prompts", "height"), [(1, 72), (7, 77), (12, 72), (30, 180), (100, 200), (150, 150), (240, 240)]
)
def test_every_prompt_is_a_whole_number_of_pixels_high(prompts: int, height: int) -> None:
    assert branch_map(plan_of(prompts, 0.4, 5)).height == height


def test_branches_stay_apart_where_there_is_room() -> None:
    drawn = branch_map(EmbeddingTree.from_embeddings(np.eye(4)).plan(tau=0, steps=2))
    assert drawn.shades == ((0, "M0 0h2v17h-2zM0 18h2v17h-2zM0 36h2v17h-2zM0 54h2v17h-2z"),)


@pytest.mark.parametrize(("size", "level"), [(1, 0), (2, 1), (3, 1), (4, 2), (15, 3), (16, 4), (64, 5), (9999, 5)])
def test_more_prompts_are_darker(size: int, level: int) -> None:
    assert level_of(size) == level


def test_the_picture_says_what_it_shows() -> None:
    plan = plan_of(30, 0.6, 12)
    drawn = branch_map(plan)
    assert drawn.branches == (len(plan.active(1)), 30)
    assert "tau 0.6" in drawn.told
    assert drawn.legend[0] == (0, "1")
