"""The picture of sharing: every state once, in the middle of the prompts that it serves."""

from __future__ import annotations

import numpy as np

from benchmarks.sharing_figure import states_shown
from hierflow.plan.segments import compile_plan
from hierflow.tree import EmbeddingTree


def test_every_state_is_shown_once_in_the_middle_of_its_prompts() -> None:
    tree = EmbeddingTree.from_embeddings(np.array([[0.0, 0.1], [0.0, 0.0], [0.0, 0.3], [9.0, 0.0]]), linkage="ward")
    plan, steps = compile_plan(tree, 1.0, 10), (1, 5, 8, 10)
    lines = tree.leaf_order.tolist()
    shown = states_shown(plan, lines, steps)
    for column, step in enumerate(steps):
        here = [state for (place, _), state in shown.items() if place == column]
        assert len(here) == plan.frontier_sizes[step - 1]
        assert sum(state.prompts for state in here) == len(lines)
    assert len({state.prompts for state in shown.values()}) > 1
    for (column, node), state in shown.items():
        served = [line for line, leaf in enumerate(lines) if plan.assignment(steps[column])[leaf] == node]
        assert state.line == np.mean(served)
