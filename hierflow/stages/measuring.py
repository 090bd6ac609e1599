"""Looking at images to tell what they are worth takes time, too: it is booked as measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hierflow.models.power import Hold
from hierflow.plan.compiled import CompiledPlan
from hierflow.stages.context import Stage, Stopwatch
from hierflow.stages.scores import Unscored, missing_scores
from hierflow.store.ledger import MEASURED


@contextmanager
def measuring(stage: Stage, of: CompiledPlan | None) -> Iterator[None]:
    """Books the time that what is done within takes, also where it breaks off. Nothing is denoised within.

    Args:
        stage: the set.
        of: its plan, on whose account this is measured; None before there is one.
    """
    hold, watch = Hold(stage.adapter.runtime.device), Stopwatch()
    document = of.document if of else None
    entry = stage.open_entry(
        MEASURED,
        plan=document.id if document else "",
        standard=document.standard if document else 0,
        planned=document.planned if document else 0,
    )
    try:
        yield
    except BaseException as error:
        watch.lap("score")
        told = f"{type(error).__name__}: {error}"
        entry.close("failed", error=told, seconds=watch.rounded(), **hold.taken())
        raise
    watch.lap("score")
    entry.close("done", seconds=watch.rounded(), **hold.taken())


def measured_scores(stage: Stage, of: CompiledPlan | None, images: Sequence[Unscored]) -> list[dict[str, float]]:
    """As :func:`hierflow.stages.scores.missing_scores`, of images that are no part of making the set."""
    if not any(image.names for image in images):
        return [{} for _ in images]
    with measuring(stage, of):
        return missing_scores(stage, images)
