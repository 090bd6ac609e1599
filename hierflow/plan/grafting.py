"""Grafting: new prompts join a tree that has run, instead of a new tree being made.

New prompts are clustered among themselves. A cluster shares the steps of the path that it can stay on longest, its
mismatch (see :mod:`hierflow.plan.mismatch`) staying within a budget, and phi above its own height. From its branching
step on it is conditioned on its own clusters' means, and in the end each prompt on itself. It is divided where its
parts together cost less.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hierflow.plan.mismatch import directions
from hierflow.plan.segments import Plan
from hierflow.tree.embedding_tree import EmbeddingTree
from hierflow.tree.planted import Graft

Int = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]

_CELLS = 20_000_000
"""Distances held at once: 160 MB of them."""
_SAME = 1e-12
"""Distances below it are rounding, which must not decide whether equal embeddings share."""


class _Places(NamedTuple):
    """For every node of the new prompts' own tree, where it leaves the tree that is there.

    Attributes:
        host: the host segment; -1 for noise.
        shared: the last step that is shared; 0 for noise.
    """

    host: Int
    shared: Int


def grafts_of(
    plan: Plan,
    means: Float,
    vectors: Float,
    texts: Sequence[str],
    *,
    budget: float,
    max_prompts: int,
) -> list[Graft]:
    """The grafts that bring new prompts onto a planned tree, in the order of their smallest text hashes.

    Args:
        plan: of the tree that is there; a graft goes on one of its live paths.
        means: (2N - 1, D) the directions of the tree's frozen means.
        vectors: (n, D) the new prompts' embeddings, at least one.
        texts: their hashes, ascending.
        budget: the greatest mismatch of a cluster on the steps it shares, the mean of its prompts'.
        max_prompts: the largest cluster, so that it fits a partition.
    """
    own = EmbeddingTree.from_embeddings(vectors, plan.tree.linkage)
    threshold = plan.threshold
    places = _places(plan, means, _mean_directions(own, vectors), budget, _together(own, threshold))
    chosen = _cheapest_cut(own, _own_evaluations(own, threshold, places.shared), max_prompts)
    grafts = []
    for node in chosen:
        tree, leaves = subtree(own, node)
        host, shared = int(places.host[node]), int(places.shared[node])
        height = float(threshold[shared - 1]) if shared else never_shared(plan.tau, plan.tree, own)
        grafts.append(
            Graft(int(plan.nodes[host]) if shared else -1, height, tree, tuple(texts[leaf] for leaf in leaves))
        )
    return sorted(grafts, key=lambda graft: graft.texts)


def _together(own: EmbeddingTree, threshold: Float) -> Int:
    """(2n - 1,) the last step at which each cluster's prompts are alike enough to share, as in any tree.

    A host is near to prompts that lie around it on all sides, however far they are from each other.
    """
    sharing = threshold[threshold > 0]  # at the last step everybody is alone
    return np.searchsorted(-sharing, -own.node_heights, side="right").astype(np.int64)


def _places(plan: Plan, means: Float, clusters: Float, budget: float, together: Int) -> _Places:
    """Where each cluster can stay longest; of equals, at the node with the smallest number."""
    by_node = np.argsort(plan.nodes, kind="stable")
    rows = max(1, _CELLS // max(len(plan.nodes), 1))
    parts = [
        _longest(plan, means, clusters[start : start + rows], budget, together[start : start + rows], by_node)
        for start in range(0, len(clusters), rows)
    ]
    return _Places(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _longest(
    plan: Plan, means: Float, clusters: Float, budget: float, together: Int, by_node: Int
) -> tuple[Int, Int]:
    distance = np.clip(1.0 - clusters @ means[plan.nodes].T, 0.0, 2.0)  # (clusters, segments)
    distance[distance < _SAME] = 0.0
    spent = np.zeros_like(distance)  # before each segment's first step
    shared = np.zeros(distance.shape, dtype=np.int64)
    for segment, parent in enumerate(plan.parent):
        if parent >= 0:
            length = int(plan.last[parent] - plan.first[parent] + 1)
            spent[:, segment] = spent[:, parent] + length * distance[:, parent]
        first, most = int(plan.first[segment]), np.minimum(int(plan.last[segment]), together)
        left = budget - spent[:, segment]
        with np.errstate(divide="ignore", invalid="ignore"):
            steps = np.where(distance[:, segment] > 0, np.floor(left / distance[:, segment] + 1e-9), plan.steps)
        steps = np.clip(np.where(left < 0, 0, steps), 0, np.maximum(most - first + 1, 0)).astype(np.int64)
        until = _whole_steps(plan, first - 1 + steps)
        shared[:, segment] = np.where(until >= first, until, 0)
    best = by_node[np.argmax(shared[:, by_node], axis=1)]  # argmax takes the first of equals
    longest = shared[np.arange(len(best)), best]
    return np.where(longest > 0, best, -1), longest


def _whole_steps(plan: Plan, shared: Int) -> Int:
    """As many evaluations as `shared`, or fewer, so that the last one ends a step of the sampler."""
    ends = np.concatenate([[0], np.cumsum(plan.evaluations_a_step)])
    return ends[np.searchsorted(ends, shared, side="right") - 1]


def _own_evaluations(own: EmbeddingTree, threshold: Float, shared: Int) -> Int:
    """(2n - 1,) the evaluations of each cluster after the steps it shares."""
    steps = len(threshold)
    active = np.ones((2 * own.leaves - 1, steps), dtype=np.int64)  # nodes at work under each node, by step
    for merge, (left, right) in enumerate(own.merges):
        together = (threshold > 0) & (own.heights[merge] <= threshold)
        active[own.leaves + merge] = np.where(together, 1, active[left] + active[right])
    later = np.concatenate(
        [np.cumsum(active[:, ::-1], axis=1)[:, ::-1], np.zeros((len(active), 1), np.int64)], axis=1
    )
    return later[np.arange(len(active)), shared]


def _cheapest_cut(own: EmbeddingTree, cost: Int, max_prompts: int) -> list[int]:
    """The clusters that together cost least; one cluster rather than two at the same cost."""
    whole = own.sizes <= max_prompts
    best = cost.copy()
    for merge, (left, right) in enumerate(own.merges):
        node, divided = own.leaves + merge, best[left] + best[right]
        if not whole[node] or divided < cost[node]:
            whole[node], best[node] = False, divided
    chosen, stack = [], [own.root]
    while stack:
        node = stack.pop()
        if whole[node]:
            chosen.append(node)
        else:
            stack += own.merges[node - own.leaves].tolist()
    return chosen


def _mean_directions(own: EmbeddingTree, vectors: Float) -> Float:
    """(2n - 1, D) the mean direction of each cluster's prompts.

    It is not brought to length 1: so 1 less its product with another direction is its prompts' mean cosine distance.
    """
    sums = np.concatenate([directions(vectors), np.zeros((len(own.merges), vectors.shape[1]))])
    for merge, children in enumerate(own.merges):
        sums[own.leaves + merge] = sums[children].sum(axis=0)
    means: Float = sums / own.sizes[:, None]
    return means


def never_shared(tau: float, *trees: EmbeddingTree) -> float:
    """A height above everything: what hangs there begins with noise of its own."""
    heights = [tau, *(float(height) for tree in trees for height in tree.heights[-1:])]
    return float(np.nextafter(max(heights), np.inf))


def subtree(tree: EmbeddingTree, node: int) -> tuple[EmbeddingTree, Int]:
    """The tree under `node` by itself, and its leaves, ascending: leaf i is the i-th of them."""
    leaves = tree.members(node)
    inside = np.zeros(2 * tree.leaves - 1, dtype=bool)
    stack = [node]
    while stack:
        inner = stack.pop()
        inside[inner] = True
        if inner >= tree.leaves:
            stack += tree.merges[inner - tree.leaves].tolist()
    nodes = np.flatnonzero(inside)  # leaves first, then inner nodes, children before parents
    number = np.full(2 * tree.leaves - 1, -1, dtype=np.int64)
    number[nodes] = np.arange(len(nodes))
    merges = nodes[len(leaves) :] - tree.leaves
    return EmbeddingTree(number[tree.merges[merges]].reshape(-1, 2), tree.heights[merges], tree.linkage), leaves
