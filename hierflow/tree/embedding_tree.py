"""The tree over a prompt set: which prompts share their early denoising steps, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hierflow.errors import InputError
from hierflow.tree.distances import checked_embeddings
from hierflow.tree.linkage import LINKAGES
from hierflow.tree.memory import check_room

if TYPE_CHECKING:
    from hierflow.plan.schedule import Steps
    from hierflow.plan.segments import Plan

Int = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class EmbeddingTree:
    """A binary tree over N prompts (the paper's Section 3.1).

    Nodes are numbered as scipy does: leaves 0 .. N-1 are the prompts in the order of the embeddings' rows, and
    merge m makes node N + m. The root is node 2N - 2.

    Attributes:
        merges: (N - 1, 2) the children of each inner node.
        heights: (N - 1,) the height (the paper's score) of each inner node; ascending, >= 0.
        linkage: how it was built: "ward", "average" or "centroid".
    """

    merges: Int
    heights: npt.NDArray[np.float64]
    linkage: str

    @classmethod
    def from_embeddings(cls, embeddings: npt.ArrayLike, linkage: str = "ward") -> EmbeddingTree:
        """Cluster the rows of `embeddings` (N, D), one a prompt.

        One row gives a tree of one leaf. Identical rows merge at height 0. A zero row lies at cosine distance
        1 from every other row.

        Raises:
            InputError: no rows, NaN or infinity, an unknown linkage, or more rows than there is memory for.
        """
        if linkage not in LINKAGES:
            raise InputError(
                "is not a linkage",
                field="linkage",
                value=linkage,
                remedy=f"take one of {', '.join(LINKAGES)}",
            )
        E = checked_embeddings(embeddings)
        if len(E) == 1:
            return cls(np.zeros((0, 2), dtype=np.int64), np.zeros(0), linkage)
        check_room(len(E))
        merges, heights = LINKAGES[linkage](E)
        return cls(merges, heights, linkage)

    @property
    def leaves(self) -> int:
        """N, the number of prompts."""
        return len(self.merges) + 1

    @property
    def root(self) -> int:
        """The node that holds every prompt."""
        return 2 * self.leaves - 2

    @cached_property
    def parents(self) -> Int:
        """(2N - 1,) each node's parent; -1 for the root."""
        parents = np.full(2 * self.leaves - 1, -1, dtype=np.int64)
        parents[self.merges.ravel()] = np.repeat(np.arange(self.leaves, 2 * self.leaves - 1), 2)
        return parents

    @cached_property
    def node_heights(self) -> npt.NDArray[np.float64]:
        """(2N - 1,) each node's height; 0 for leaves."""
        return np.concatenate([np.zeros(self.leaves), self.heights])

    @cached_property
    def sizes(self) -> Int:
        """(2N - 1,) how many prompts each node holds."""
        sizes = np.ones(2 * self.leaves - 1, dtype=np.int64)
        for merge, (left, right) in enumerate(self.merges):
            sizes[self.leaves + merge] = sizes[left] + sizes[right]
        return sizes

    @cached_property
    def leaf_order(self) -> Int:
        """(N,) the leaves from left to right, so that every node holds one contiguous run of them."""
        order = np.empty(self.leaves, dtype=np.int64)
        starts = self.leaf_starts
        order[starts[: self.leaves]] = np.arange(self.leaves)
        return order

    @cached_property
    def leaf_starts(self) -> Int:
        """(2N - 1,) where each node's run begins in :attr:`leaf_order`."""
        starts = np.zeros(2 * self.leaves - 1, dtype=np.int64)
        for merge in range(len(self.merges) - 1, -1, -1):
            left, right = self.merges[merge]
            starts[left] = starts[self.leaves + merge]
            starts[right] = starts[left] + self.sizes[left]
        return starts

    def members(self, node: int) -> Int:
        """The prompts (leaves) under `node`, ascending."""
        start = self.leaf_starts[node]
        return np.sort(self.leaf_order[start : start + self.sizes[node]])

    def plan(self, tau: float = 1.0, steps: Steps = 40) -> Plan:
        """Cut the tree at every denoising step: see :func:`hierflow.plan.segments.compile_plan`."""
        from hierflow.plan.segments import compile_plan

        return compile_plan(self, tau, steps)
