"""Whether the model a run would use is the one its plan was made for."""

from __future__ import annotations

from hierflow.errors import RunError
from hierflow.plan.compiled import CompiledPlan
from hierflow.stages.context import Stage


def check_model(stage: Stage, compiled: CompiledPlan) -> None:
    """Refuse to execute a plan with another model or other settings than it names its states by.

    A document can be edited, and its new plan adopted, while a code location still serves the old one; two commands
    can plan at once; `auto` can mean another precision on another machine. What such a run computed would be stored
    under ids that promise something else, and every later run would build on it.

    Raises:
        RunError: fingerprints or settings differ; nothing has been computed.
    """
    plan, adapter = compiled.document, stage.adapter
    planned_and_here: dict[str, tuple[object, object]] = {
        "sampling": (plan.sampling.root(0), adapter.identity.root(0)),
        "text encoder and prior": (plan.encoder, adapter.encoder_fingerprint),
        "decoder": (plan.decoder, adapter.decoder_fingerprint),
        "scorer": (dict(plan.scorers), dict(stage.scorers.versions)),
    }
    differing = [name for name, (planned, here) in planned_and_here.items() if planned != here]
    if differing:
        raise RunError(
            f"the plan {plan.id[:12]} was made for another {', another '.join(differing)} than this run would use; "
            "plan again with the document as it is now (in Dagster, reload the code location first)"
        )
