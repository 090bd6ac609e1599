"""A Dagster run's view of an image set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import dagster as dg

from hierflow.assets.names import INVOCATION_TAG, PLAN_TAG
from hierflow.progress import Lines, OpenProgress, Progress
from hierflow.spec import ImageSetSpec
from hierflow.stages.context import Stage
from hierflow.store.plans import CompiledPlan

_terminal: ContextVar[OpenProgress | None] = ContextVar("hierflow_progress", default=None)


@contextmanager
def progress_through(report: OpenProgress) -> Iterator[None]:
    """Runs in this process report their progress through `report` instead of Dagster's log."""
    token = _terminal.set(report)
    try:
        yield
    finally:
        _terminal.reset(token)


def stage_of(context: dg.AssetExecutionContext, spec: ImageSetSpec, base: Path, document: Path | None) -> Stage:
    """The stage context of a run."""

    def lines(label: str, total: int) -> Progress:
        return Lines(label, total, context.log.info)

    record = context.instance.get_run_record_by_id(context.run_id)
    return Stage(
        spec=spec,
        base=base,
        document=document,
        run=context.run_id,
        invocation=context.run.tags.get(INVOCATION_TAG, context.run.root_run_id or context.run_id),
        progress=_terminal.get() or lines,
        say=context.log.info,
        **({"began": record.create_timestamp.timestamp()} if record else {}),
    )


def plan_of(context: dg.AssetExecutionContext, stage: Stage) -> CompiledPlan:
    """The plan this run works on: the one it was launched with, or the one that is current as it begins.

    Raises:
        Failure: there is none yet.
    """
    wanted = context.run.tags.get(PLAN_TAG)
    compiled = stage.store.plans.load(wanted) if wanted else stage.store.plans.current()
    if compiled is None:
        raise dg.Failure(f"the image set {stage.spec.name} has no plan yet: materialise its embedding_tree first")
    return compiled
