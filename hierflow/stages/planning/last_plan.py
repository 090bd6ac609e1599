"""The plan that a set goes on from: the current one, or where that is lost the newest that is intact."""

from __future__ import annotations

from hierflow.errors import RunError
from hierflow.plan.compiled import CompiledPlan
from hierflow.stages.context import Stage
from hierflow.store.plans import LostPlanError
from hierflow.store.storage import DamagedFileError


def last_plan(stage: Stage, *, may_be_lost: bool = False) -> CompiledPlan | None:
    """The current plan; where it is lost, the one worked on last that is intact. None before the first.

    Another plan of the same tree costs nothing: what the document says is planned on it as it was. On an earlier tree
    the prompts that have come since are grafted again, and their images may be others. Which plan it is, is said.

    Args:
        stage: the set.
        may_be_lost: whether None will do where there were plans and none is intact, as it does for a tree that is
            founded anew.

    Raises:
        RunError: there were plans, and none is intact.
    """
    plans, current, why = stage.store.plans, None, ""
    try:
        current = plans.current()
    except LostPlanError as error:
        why = error.reason
    if current is not None:
        return current
    worked_on = stage.store.ledger.plans()
    if not worked_on and not why:
        return None
    why = why or f"nothing in {stage.store.files.url()} says which it is"
    for plan in worked_on:
        try:
            found = plans.load(plan)
        except (FileNotFoundError, DamagedFileError):
            continue
        stage.say(
            f"the current plan is lost ({why}): the set goes on from plan {plan[:12]}, the last that is intact; "
            "prompts that came after it, if any did, are grafted again"
        )
        return found
    lost = f"the current plan is lost ({why}), and no earlier one is intact"
    if not may_be_lost:
        raise RunError(f"{lost}; found the tree anew, which can change every image: hierflow run SPEC --rebuild")
    stage.say(f"{lost}: the tree is founded anew")
    return None
