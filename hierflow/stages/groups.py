"""Which images are not independent of each other: those of one node, early on."""

from __future__ import annotations

from hierflow.plan.lanes import Lane
from hierflow.plan.segments import Plan

ENOUGH = 8
"""Groups are the nodes of the first step that has so many; of the last step, each prompt alone, if none has."""


def group_of(plan: Plan, lane: Lane, leaf: int) -> str:
    """Names the node that serves a prompt at that step; equal for equal nodes, whatever is grafted."""
    step = next((k for k, size in enumerate(plan.frontier_sizes.tolist(), 1) if size >= ENOUGH), plan.steps)
    segment = next(segment for segment in plan.path(leaf) if plan.last[segment] >= step)
    return lane.ids.chain(segment)[:16]
