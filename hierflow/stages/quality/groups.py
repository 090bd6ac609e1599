"""Which images are not independent of each other: those of one node, early on."""

from __future__ import annotations

from hierflow.plan.compiled import CompiledPlan, lanes_of
from hierflow.plan.lanes import Lane
from hierflow.plan.segments import Plan, compile_plan
from hierflow.scoring.pair import SHARED, Pair

ENOUGH = 8
"""Groups are the nodes of the first step that has so many; of the last step, each prompt alone, if none has."""


def group_of(plan: Plan, lane: Lane, leaf: int) -> str:
    """Names the node that serves a prompt at that step; equal for equal nodes, whatever is grafted."""
    return _node(lane, leaf, _step(plan))


class Groups:
    """The groups of pairs in the tree as it stands.

    Grafts move the step that has enough nodes, so that pairs of several runs are grouped anew when they are judged
    together.
    """

    def __init__(self, compiled: CompiledPlan) -> None:
        planted, document = compiled.planted, compiled.document
        everybody = compile_plan(planted.tree, document.tau, document.evaluations_a_step)  # the retired ones too
        self._lanes = [lane for lane in lanes_of(everybody, planted, document) if lane.image_index == 0]
        self._step = _step(compiled.plan)
        self._leaves: dict[str, list[int]] = {}
        for leaf, text in enumerate(planted.texts):
            self._leaves.setdefault(text, []).append(leaf)

    def of(self, pair: Pair) -> str:
        """The pair's group today; as it has been where its shared image is of another tree."""
        for lane in self._lanes:
            for leaf in self._leaves.get(pair.text, ()) if lane.variant.seed == pair.seed else ():
                if lane.ids.final(leaf) == pair.images[SHARED].state:
                    return _node(lane, leaf, self._step)
        return pair.group


def _step(plan: Plan) -> int:
    return next((k for k, size in enumerate(plan.frontier_sizes.tolist(), 1) if size >= ENOUGH), plan.steps)


def _node(lane: Lane, leaf: int, step: int) -> str:
    plan = lane.plan
    segment = next(segment for segment in plan.path(leaf) if plan.last[segment] >= step)
    return lane.ids.chain(segment)[:16]
