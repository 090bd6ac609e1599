"""Looking at images to tell what they are worth takes time, too: it is booked as measured."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

from hierflow.plan.compiled import CompiledPlan
from hierflow.stages.booking import Booking, booked
from hierflow.stages.context import Stage
from hierflow.stages.making.scores import Unscored, missing_scores
from hierflow.store.ledger import MEASURED


def measuring(stage: Stage, of: CompiledPlan | None) -> AbstractContextManager[Booking]:
    """Books the time that what is done within takes, also where it breaks off. Nothing is denoised within.

    Args:
        stage: the set.
        of: its plan, on whose account this is measured; None before there is one.
    """
    return booked(stage, MEASURED, "score", of.document if of else None)


def measured_scores(stage: Stage, of: CompiledPlan | None, images: Sequence[Unscored]) -> list[dict[str, float]]:
    """As :func:`hierflow.stages.making.scores.missing_scores`, of images that are no part of making the set."""
    if not any(image.names for image in images):
        return [{} for _ in images]
    with measuring(stage, of):
        return missing_scores(stage, images)
