"""How far prompts are, on the steps they share, from the conditioning they are denoised with.

The *mismatch* of a prompt on a path is the sum, over the path's steps, of the cosine distance between the prompt's
embedding and the mean embedding of the founding prompts of the node that serves the step. Where a prompt is alone it
is 0.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hierflow.plan.segments import Plan
from hierflow.tree.planted import PlantedTree

Float = npt.NDArray[np.float64]


def directions(vectors: Float) -> Float:
    """The rows of `vectors` at length 1; a zero row stays zero, and so lies at distance 1 from everything."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units: Float = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return units


def founding_directions(planted: PlantedTree, vectors: Float) -> Float:
    """(2N - 1, D) the direction of every node's frozen mean.

    Args:
        planted: the tree.
        vectors: (N, D) the embedding of each leaf.
    """
    tree, generations = planted.tree, planted.node_generations
    sums = np.concatenate([vectors, np.zeros((len(tree.merges), vectors.shape[1]))])
    for merge, children in enumerate(tree.merges):
        node = tree.leaves + merge
        own = children[generations[children] == generations[node]]
        sums[node] = sums[own].sum(axis=0)
    return directions(sums)


def mean_mismatch(plan: Plan, vectors: Float, means: Float) -> float:
    """The mismatch of an average live prompt on its path.

    Args:
        plan: the plan.
        vectors: (N, D) the embedding of each leaf of the tree.
        means: (2N - 1, D) from :func:`founding_directions`.
    """
    units = directions(vectors)[plan.leaf_order]
    sums = np.concatenate([np.zeros((1, units.shape[1])), np.cumsum(units, axis=0)])
    total = 0.0
    for segment in np.flatnonzero(plan.nodes >= plan.tree.leaves):  # alone, a prompt is at no distance
        start, size = int(plan.starts[segment]), int(plan.sizes[segment])
        alike = float((sums[start + size] - sums[start]) @ means[plan.nodes[segment]])
        total += (size - alike) * int(plan.last[segment] - plan.first[segment] + 1)
    return max(total, 0.0) / plan.leaves
