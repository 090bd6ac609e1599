"""Other rules for where new prompts join a tree that has run, to compare hierflow's own with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import numpy.typing as npt

from hierflow.plan import grafting
from hierflow.plan.mismatch import directions
from hierflow.plan.schedule import phi
from hierflow.plan.segments import Plan
from hierflow.tree import EmbeddingTree

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

RULES = ("hierflow", "uncapped", "means", "joint_height")
"""`uncapped`: a cluster may also share steps at which its own prompts would not be together. `means`: a cluster's
mismatch is that of its prompts' mean, not the mean of theirs. `joint_height`: a cluster shares a step where the ward
height of it and the node together is at most phi, as if they had been clustered together."""


@contextmanager
def attached_by(rule: str) -> Iterator[None]:
    """Have grafts placed by one of :data:`RULES`."""
    changes: dict[str, dict[str, Any]] = {
        "hierflow": {},
        "uncapped": {"_together": _anyhow},
        "means": {"_mean_directions": _directions_of_means},
        "joint_height": {"_mean_directions": _Cluster, "_places": _places_by_joint_height},
    }
    with patch.multiple(grafting, **changes[rule]) if changes[rule] else nullcontext():
        yield


class _Cluster(NamedTuple):
    tree: EmbeddingTree
    vectors: Float


def _anyhow(own: EmbeddingTree, threshold: Float) -> Int:
    return np.full(2 * own.leaves - 1, np.count_nonzero(threshold > 0))


def _directions_of_means(own: EmbeddingTree, vectors: Float) -> Float:
    """(2n - 1, D) the direction of each cluster's mean embedding."""
    return directions(_membership(own) @ vectors)


def _places_by_joint_height(
    plan: Plan, means: Float, new: _Cluster, budget: float, together: Int
) -> grafting._Places:
    """Where each cluster can stay longest."""
    height = joint_heights(new.tree, directions(new.vectors), plan.tree, means[: plan.tree.leaves])[:, plan.nodes]
    threshold = phi(plan.tau, plan.steps)
    alike = np.searchsorted(-threshold[threshold > 0], -height, side="right")  # steps with phi at least the height
    shared = np.minimum(alike, plan.last[None, :])
    shared = np.where(shared >= plan.first[None, :], shared, 0)
    best = np.argmax(shared, axis=1)
    longest = shared[np.arange(len(best)), best]
    return grafting._Places(np.where(longest > 0, best, -1), longest)


def joint_heights(new: EmbeddingTree, new_units: Float, hosts: EmbeddingTree, host_units: Float) -> Float:
    """(2n - 1, 2N - 1) the ward height at which each node of one tree would merge with each of another.

    The Lance-Williams recursion comes to sqrt(2 ab / (a + b) E) for clusters of a and b prompts, E being the mean
    squared distance between them less half of those within each.
    """
    mine, theirs = _membership(new), _membership(hosts)
    a, b = mine.sum(axis=1)[:, None], theirs.sum(axis=1)[None, :]
    within_a = np.einsum("ij,ij->i", mine @ (1 - new_units @ new_units.T) ** 2, mine)[:, None] / a**2
    within_b = np.einsum("ij,ij->i", theirs @ (1 - host_units @ host_units.T) ** 2, theirs)[None, :] / b**2
    between = mine @ (1 - new_units @ host_units.T) ** 2 @ theirs.T / (a * b)
    heights: Float = np.sqrt(np.maximum(2 * a * b / (a + b) * (between - (within_a + within_b) / 2), 0))
    return heights


def _membership(tree: EmbeddingTree) -> Float:
    """(2N - 1, N) which leaves each node holds."""
    rows = np.concatenate([np.eye(tree.leaves), np.zeros((len(tree.merges), tree.leaves))])
    for merge, children in enumerate(tree.merges):
        rows[tree.leaves + merge] = rows[children].sum(axis=0)
    return rows
