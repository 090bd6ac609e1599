"""The plan: every denoising step that will be computed, as a table of segments.

A node of the tree is *active* at step k while its own height is at most phi(k) and its parent's is not. phi
falls, so a node is active during one run of consecutive steps: its *segment*. Where phi is 0 (the last step,
and every step if tau is 0) each distinct prompt is alone, identical embeddings included. Where tau exceeds the
root's height the root serves from the first step, as the paper's dummy parent does.

For a sampler that takes several evaluations for some steps, *step* means evaluation throughout.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hierflow.plan.schedule import Steps, phi
from hierflow.tree.embedding_tree import EmbeddingTree

Int = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Plan:
    """A tree cut at every step: S segments, parents before children.

    Only what leads to live prompts is in it; a prompt that was retired still is a leaf of the tree.

    Attributes:
        tree: the tree that was cut.
        tau: the height it was cut at, at the first step.
        evaluations_a_step: how many evaluations each of the sampler's steps takes, usually one.
        nodes: (S,) the tree's node of each segment.
        first, last: (S,) its first and last step, 1-based and inclusive.
        parent: (S,) the segment whose final state it starts from; -1 if it starts from noise.
        leaf_order: (L,) the live prompts (leaves of the tree) from left to right.
        starts, sizes: (S,) where each segment's run of prompts begins in `leaf_order`, and how many it serves.
    """

    tree: EmbeddingTree
    tau: float
    evaluations_a_step: tuple[int, ...]
    nodes: Int
    first: Int
    last: Int
    parent: Int
    leaf_order: Int
    starts: Int
    sizes: Int

    @cached_property
    def steps(self) -> int:
        """The evaluations of one prompt's path."""
        return sum(self.evaluations_a_step)

    @cached_property
    def threshold(self) -> npt.NDArray[np.float64]:
        """(steps,) phi."""
        return phi(self.tau, self.evaluations_a_step)

    @property
    def evaluations(self) -> int:
        """Denoiser steps the plan takes (the paper's unit; guidance does not double it)."""
        return int((self.last - self.first + 1).sum())

    @property
    def leaves(self) -> int:
        """L, the number of live prompts."""
        return len(self.leaf_order)

    @property
    def standard_evaluations(self) -> int:
        """Denoiser steps without sharing: every distinct live prompt, every step."""
        return self.leaves * self.steps

    @property
    def saved(self) -> float:
        """1 - planned / standard, in [0, 1)."""
        return 1.0 - self.evaluations / self.standard_evaluations

    @cached_property
    def frontier_sizes(self) -> Int:
        """(steps,) how many nodes are active at each step."""
        change = np.zeros(self.steps + 2, dtype=np.int64)
        np.add.at(change, self.first, 1)
        np.add.at(change, self.last + 1, -1)
        return np.cumsum(change)[1 : self.steps + 1]

    @cached_property
    def is_split(self) -> npt.NDArray[np.bool_]:
        """(S,) whether other segments start from this one's final state."""
        split = np.zeros(len(self.nodes), dtype=bool)
        split[self.parent[self.parent >= 0]] = True
        return split

    @cached_property
    def segment_of_node(self) -> Int:
        """(2N - 1,) each node's segment, -1 for nodes that are never active."""
        segment = np.full(2 * self.tree.leaves - 1, -1, dtype=np.int64)
        segment[self.nodes] = np.arange(len(self.nodes))
        return segment

    def active(self, k: int) -> Int:
        """The segments of the frontier at step `k` in 1 .. steps."""
        return np.flatnonzero((self.first <= self._checked(k)) & (self.last >= k))

    def served(self, segment: int) -> Int:
        """The live prompts that `segment` serves, from left to right."""
        start = self.starts[segment]
        return self.leaf_order[start : start + self.sizes[segment]]

    def assignment(self, k: int) -> Int:
        """(N,) the node that serves each prompt at step `k` in 1 .. steps; -1 for retired ones."""
        serving = np.full(self.tree.leaves, -1, dtype=np.int64)
        for segment in self.active(k):
            serving[self.served(segment)] = self.nodes[segment]
        return serving

    def path(self, leaf: int) -> list[int]:
        """The segments that lead to prompt `leaf`, from the first step to the last."""
        segment, path = int(self.segment_of_node[leaf]), []
        while segment >= 0:
            path.append(segment)
            segment = int(self.parent[segment])
        return path[::-1]

    def leading_to(self, leaves: Int) -> Int:
        """The segments on the paths of some live prompts, ascending, so that parents stand before children."""
        leading = set[int]()
        for segment in self.segment_of_node[leaves].tolist():
            while segment >= 0 and segment not in leading:
                leading.add(segment)
                segment = int(self.parent[segment])
        return np.array(sorted(leading), dtype=np.int64)

    def steps_of(self, segments: Int) -> int:
        """The denoiser steps of some segments."""
        return int((self.last[segments] - self.first[segments] + 1).sum())

    def _checked(self, k: int) -> int:
        if not 1 <= k <= self.steps:
            raise ValueError(f"step {k} is not in 1 .. {self.steps}")
        return k


def compile_plan(tree: EmbeddingTree, tau: float, steps: Steps, live: npt.NDArray[np.bool_] | None = None) -> Plan:
    """Cut `tree` at phi(k) for every step k.

    Args:
        tree: the tree.
        tau, steps: the schedule.
        live: (N,) which prompts are wanted, at least one; by default all.

    Raises:
        InputError: tau or steps is out of range (see :func:`hierflow.plan.schedule.phi`).
    """
    threshold = phi(tau, steps)
    sharing = int(np.count_nonzero(threshold > 0))  # phi falls, so these are the first steps
    height, parents = tree.node_heights, tree.parents
    # A node may serve the first `reach` steps: those whose phi is at least its height, and positive.
    reach = np.searchsorted(-threshold[:sharing], -height, side="right")
    reach[: tree.leaves] = len(threshold)
    first = np.where(parents < 0, 1, reach[parents] + 1)
    starts, sizes = _runs(tree, live)
    nodes = np.flatnonzero((first <= reach) & (sizes > 0))[::-1]  # children have smaller numbers than parents
    segment_of_node = np.full(len(parents), -1, dtype=np.int64)
    segment_of_node[nodes] = np.arange(len(nodes))
    return Plan(
        tree=tree,
        tau=float(tau),
        evaluations_a_step=steps if isinstance(steps, tuple) else (1,) * int(steps),
        nodes=nodes,
        first=first[nodes],
        last=reach[nodes],
        parent=_nearest_active_ancestor(parents, segment_of_node)[nodes],
        leaf_order=tree.leaf_order if live is None else tree.leaf_order[live[tree.leaf_order]],
        starts=starts[nodes],
        sizes=sizes[nodes],
    )


def _runs(tree: EmbeddingTree, live: npt.NDArray[np.bool_] | None) -> tuple[Int, Int]:
    """(2N - 1,) where each node's run of live prompts begins among all live prompts, and its length."""
    if live is None:
        return tree.leaf_starts, tree.sizes
    before = np.concatenate([[0], np.cumsum(live[tree.leaf_order])])
    starts = before[tree.leaf_starts]
    return starts, before[tree.leaf_starts + tree.sizes] - starts


def _nearest_active_ancestor(parents: Int, segment_of_node: Int) -> Int:
    """(2N - 1,) the segment of the closest proper ancestor that has one, -1 if none has."""
    ancestor = np.full(len(parents), -1, dtype=np.int64)
    for node in range(len(parents) - 2, -1, -1):
        up = parents[node]
        ancestor[node] = segment_of_node[up] if segment_of_node[up] >= 0 else ancestor[up]
    return ancestor
