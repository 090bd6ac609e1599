"""What a complete set keeps of its states: `storage.keep`."""

from __future__ import annotations

from typing import NamedTuple

from hierflow.hashing import digest
from hierflow.plan.compiled import CompiledPlan, lanes_of
from hierflow.plan.segments import compile_plan
from hierflow.stages.context import Stage
from hierflow.stages.reports.assembly import RETAINED, is_marked, mark, state_of_records


class Dropped(NamedTuple):
    """How many states are gone, and the bytes they took."""

    states: int = 0
    bytes: int = 0


def retain(stage: Stage, compiled: CompiledPlan) -> Dropped:
    """Drop the states that the document lets go. To be called once every image of the plan is made.

    Nothing is looked at where no partition has been run since the last time.

    `branch_points` drops what :func:`passed_over` names and leaves whatever lies on no path of the plan alone;
    `none` drops every state of the set; `all` none.
    """
    keep, store = stage.spec.storage.keep, stage.store
    state = digest("hierflow retention 1", keep, state_of_records(compiled, store.records_of(compiled)))
    if keep == "all" or is_marked(store, RETAINED, state):
        return Dropped()
    stored = store.states.sizes()
    going = stored.keys() if keep == "none" else stored.keys() & passed_over(compiled)
    for name in sorted(going):
        store.states.delete(name)
    mark(store, RETAINED, state)
    return Dropped(len(going), sum(stored[name] for name in going))


def passed_over(compiled: CompiledPlan) -> set[str]:
    """The states that only a resumed run needs: those of steps on which a live prompt is alone, but the last.

    Prompts that are retired count as company: no state on their paths is among these, nor one at which a prompt, live
    or retired, has left another. So a graft finds a state at most one checkpoint above where it leaves a shared path.
    """
    planted, document = compiled.planted, compiled.document
    plan = compile_plan(planted.tree, document.tau, document.evaluations_a_step)  # the retired ones included
    going, staying = set[str](), set[str]()
    for lane in lanes_of(plan, planted, document):
        ids = lane.ids
        for segment in lane.segments.tolist():
            alone = plan.sizes[segment] == 1 and bool(compiled.live[plan.served(segment)[0]])
            steps = range(int(plan.first[segment]), int(plan.last[segment]))
            (going if alone else staying).update(ids.at(segment, step) for step in steps)
            staying.add(ids.end(segment))
    return going - staying
