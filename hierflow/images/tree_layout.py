"""Where the nodes of a plan's tree stand in its picture: steps from left to right, prompts from top to bottom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hierflow.plan.compiled import CompiledPlan
from hierflow.plan.segments import Plan
from hierflow.tree import EmbeddingTree

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

FIRST = 0.5
"""Where step 1 begins; step k reaches from k - 0.5 to k + 0.5."""

_MARGINS = 0.09, 0.28  # of the steps' width: the least and the most that splits above tau may take


@dataclass(frozen=True, eq=False)
class LiveTree:
    """What is drawn of a plan: the tree of its L live prompts, in which nothing tells of the retired ones.

    Attributes:
        plan: that tree's; its frontier is the drawn plan's.
        owners: (2L - 1,) the index of each node's partition, -1 in the trunk.
        texts: (L,) the leaves' prompts.
    """

    plan: Plan
    owners: Int
    texts: tuple[str, ...]


def live_tree(compiled: CompiledPlan, texts: Sequence[str]) -> LiveTree:
    """The live part of a plan; `texts` are the prompts of `compiled.leaf_of`, in its order."""
    tree, nodes = pruned(compiled.planted.tree, compiled.live)
    text_of = dict(zip(compiled.leaf_of.values(), texts, strict=True))
    return LiveTree(
        plan=tree.plan(compiled.document.tau, compiled.document.evaluations_a_step),
        owners=compiled.node_owner[nodes],
        texts=tuple(text_of[leaf] for leaf in nodes[: tree.leaves].tolist()),
    )


def pruned(tree: EmbeddingTree, live: npt.NDArray[np.bool_]) -> tuple[EmbeddingTree, Int]:
    """The tree over the `live` prompts alone, and the node of `tree` that each of its nodes is."""
    new = {int(leaf): place for place, leaf in enumerate(np.flatnonzero(live))}  # a node's stand-in
    nodes, kept = list(new), []
    for merge, children in enumerate(tree.merges.tolist()):
        below = [new[child] for child in children if child in new]
        if len(below) == 2:
            below = [len(nodes)]
            kept.append(merge)
            nodes.append(tree.leaves + merge)
        if below:
            new[tree.leaves + merge] = below[0]
    merges = np.array([[new[child] for child in tree.merges[merge].tolist()] for merge in kept], dtype=np.int64)
    return EmbeddingTree(merges.reshape(-1, 2), tree.heights[kept], tree.linkage), np.array(nodes, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class TreeLayout:
    """A tree of N prompts in units of steps and prompts.

    Attributes:
        left: where the picture begins; less than :data:`FIRST` by the margin that holds the splits above tau.
        start, end: (2N - 1,) where each node's line begins (its parent's split) and ends (its own). A line
            crosses step k exactly if its node is active there; what lies before step 1 is never computed.
        full: (2N - 1,) where, on average, the prompts of a node are alone.
        y: (2N - 1,) the line's place; the leaves are at 0 .. N-1, in the order of the tree.
    """

    left: float
    start: Float
    end: Float
    full: Float
    y: Float

    @property
    def splits_before(self) -> bool:
        """Whether prompts part before step 1."""
        return bool(self.end[-1] < FIRST)


def lay_out(plan: Plan) -> TreeLayout:
    """The places of all nodes of `plan`'s tree."""
    tree, height = plan.tree, plan.tree.node_heights
    threshold = plan.threshold
    served = np.searchsorted(-threshold[threshold > 0], -height, side="right")  # steps a node could serve
    served[: tree.leaves] = plan.steps
    above, excess = served == 0, height - threshold[0]
    margin = _margin(plan, float(excess[-1]) if above[-1] else 0.0)
    end: Float = FIRST + served.astype(np.float64)
    if above.any():
        end[above] = FIRST - margin * (0.15 + 0.65 * excess[above] / max(excess[-1], 1e-12))
    left = FIRST - margin
    start = np.where(tree.parents < 0, left, end[tree.parents])
    return TreeLayout(left, start, end, np.maximum(_mean_over_leaves(tree, start), end), _rows(tree))


def _margin(plan: Plan, excess: float) -> float:
    """The width left of step 1: to scale where that is neither too narrow to see nor too wide."""
    least, most = (share * plan.steps for share in _MARGINS)
    if not excess:
        return least / 3
    to_scale = excess / plan.tau * (plan.steps - 1) if plan.tau else most
    return float(np.clip(to_scale, least, most))


def _rows(tree: EmbeddingTree) -> Float:
    y = np.empty(2 * tree.leaves - 1)
    y[tree.leaf_order] = np.arange(tree.leaves)
    for merge, (left, right) in enumerate(tree.merges):
        y[tree.leaves + merge] = (y[left] + y[right]) / 2
    return y


def _mean_over_leaves(tree: EmbeddingTree, values: Float) -> Float:
    """(2N - 1,) the mean of `values` over each node's leaves."""
    sums = np.concatenate([[0.0], np.cumsum(values[tree.leaf_order])])
    means: Float = (sums[tree.leaf_starts + tree.sizes] - sums[tree.leaf_starts]) / tree.sizes
    return means
