"""Whose evaluations are whose: every step of a node is shared equally by the images under it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from hierflow.plan.segments import Plan

Float = npt.NDArray[np.float64]


def shares(plan: Plan, steps: Mapping[int, float], images: npt.NDArray[np.int64]) -> Float:
    """What each prompt's images have to carry, for one image index.

    Args:
        plan: the plan.
        steps: evaluations to distribute, by segment.
        images: (N,) how many images each prompt (leaf) has among those that share; 0 for those that do not.

    Returns:
        (N,) evaluations for *one* image of each prompt. Weighted by `images` it sums to the evaluations of all
        segments that have any sharing image under them.
    """
    tree = plan.tree
    under = np.concatenate([[0], np.cumsum(images[tree.leaf_order])])
    rate = np.zeros(tree.leaves)  # in leaf order: a segment's rate holds for one contiguous run of leaves
    for segment, evaluations in steps.items():
        node = int(plan.nodes[segment])
        start, stop = int(tree.leaf_starts[node]), int(tree.leaf_starts[node] + tree.sizes[node])
        sharing = under[stop] - under[start]
        if sharing:
            rate[start:stop] += evaluations / sharing
    result = np.empty(tree.leaves)
    result[tree.leaf_order] = rate
    return result
