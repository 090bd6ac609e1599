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
        images: (N,) how many images each prompt (leaf of the tree) has among those that share; 0 for those that do
            not, retired ones among them.

    Returns:
        (N,) evaluations for *one* image of each prompt. Weighted by `images` it sums to the evaluations of all
        segments that have any sharing image under them.
    """
    under = np.concatenate([[0], np.cumsum(images[plan.leaf_order])])
    rate = np.zeros(plan.leaves)  # in leaf order: a segment's rate holds for one contiguous run of leaves
    for segment, evaluations in steps.items():
        start = int(plan.starts[segment])
        stop = start + int(plan.sizes[segment])
        sharing = under[stop] - under[start]
        if sharing:
            rate[start:stop] += evaluations / sharing
    result = np.zeros(plan.tree.leaves)
    result[plan.leaf_order] = rate
    return result
