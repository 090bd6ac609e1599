"""An image set in figures: after a run, at any time, and over all its runs."""

from __future__ import annotations

from typing import Any, Protocol

from hierflow.errors import InputError
from hierflow.prompts import load_prompts
from hierflow.stages.auditing import AUDIT, Audit, audit
from hierflow.stages.context import Stage
from hierflow.stages.image_set import AssembledSet, assembled
from hierflow.stages.todo import todo
from hierflow.store.plans import CompiledPlan


class Launched(Protocol):
    """What a summary needs to know of a launch."""

    invocation: str
    seconds: float
    plan: CompiledPlan | None
    run: list[str]
    skipped: list[str]
    failed: list[str]
    problems: list[str]


def summarise(stage: Stage, done: Launched) -> dict[str, Any]:
    """The object that `hierflow run --json` prints, whatever has happened."""
    if done.plan is None:
        return _nothing(stage, done)
    compiled = done.plan
    made = _assembled(stage, compiled)
    own = Stage(stage.spec, stage.base, stage.document, run=done.invocation, invocation=done.invocation)
    books = audit(own, compiled, made.rows).books
    return {
        "name": stage.spec.name,
        "prompts": len({row.prompt_id for row in made.rows}),
        "images": made.current,
        "complete": made.complete and not done.problems,
        "partitions": {
            "total": len(compiled.document.partitions),
            "run": len(done.run),
            "skipped": len(done.skipped),
            "failed": len(done.failed),
        },
        "evaluations": {
            name: getattr(books, name) for name in ("standard", "planned", "executed", "reused", "replayed", "redone")
        },
        "saved": books.saved,
        "seconds": round(done.seconds, 3),
        "manifest": made.manifest,
        "gallery": made.gallery,
        "audit": stage.store.files.url(AUDIT),
    }


def status_of(stage: Stage) -> dict[str, Any]:
    """What is made and what is still to do.

    Raises:
        InputError: the set has never been run.
    """
    compiled = _current(stage)
    made = _assembled(stage, compiled)
    edited = _edited(stage, compiled)
    left = todo(stage.store, compiled, give_up=False)
    return {
        "name": stage.spec.name,
        "plan": compiled.document.id,
        "prompts": len({row.prompt_id for row in made.rows}),
        "images": made.current,
        "complete": made.complete,
        "edited": edited,
        "partitions": {"total": len(compiled.document.partitions), "to_run": left},
        "failed": [
            {"prompt_id": row.prompt_id, "image_index": row.image_index, "status": row.status, "error": row.error}
            for row in made.rows
            if row.status != "current"
        ],
        "saved": compiled.document.saved,
        "manifest": made.manifest,
        "gallery": made.gallery,
    }


def _edited(stage: Stage, compiled: CompiledPlan) -> list[str]:
    """The sections of the document that no longer say what the current plan was made from."""
    plan, spec, adapter = compiled.document, stage.spec, stage.adapter
    before_and_now = {
        "prompts": (plan.prompts, load_prompts(spec.prompts, stage.base).content_hash),
        "diffusion": (
            (plan.sampling, plan.encoder, plan.decoder, plan.images_per_prompt),
            (
                adapter.identity,
                adapter.encoder_fingerprint,
                adapter.decoder_fingerprint,
                spec.diffusion.images_per_prompt,
            ),
        ),
        "sharing": (
            (plan.tau, compiled.planted.tree.linkage),
            (spec.sharing.tau, spec.sharing.linkage),
        ),
    }
    return [section for section, (before, now) in before_and_now.items() if before != now]


def audit_of(stage: Stage) -> Audit:
    """The account over all runs of the present plan.

    Raises:
        InputError: the set has never been run.
    """
    compiled = _current(stage)
    return audit(stage, compiled, _assembled(stage, compiled).rows, whole_plan=True)


def _current(stage: Stage) -> CompiledPlan:
    compiled = stage.store.plans.current()
    if compiled is None:
        raise InputError(
            "has not been run yet", field="name", value=stage.spec.name, remedy="run it first: hierflow run SPEC"
        )
    return compiled


def _assembled(stage: Stage, compiled: CompiledPlan) -> AssembledSet:
    return assembled(stage, compiled, stage.store.prompts.load(compiled.document.prompts))


def _nothing(stage: Stage, done: Launched) -> dict[str, Any]:
    counts = dict.fromkeys(("standard", "planned", "executed", "reused", "replayed", "redone"), 0)
    return {
        "name": stage.spec.name,
        "prompts": 0,
        "images": 0,
        "complete": False,
        "partitions": {"total": 0, "run": 0, "skipped": 0, "failed": 0},
        "evaluations": counts,
        "saved": 0.0,
        "seconds": round(done.seconds, 3),
        "manifest": None,
        "gallery": None,
        "audit": None,
        "error": "; ".join(done.problems),
    }
