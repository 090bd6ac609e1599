"""What a pilot found: the quality of a sample at one budget after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from hierflow.scoring.cluster_bootstrap import Interval


@dataclass(frozen=True)
class PilotPoint:
    """One budget of a pilot.

    Attributes:
        budget: the share of the standard evaluations.
        tau: the smallest that keeps within it.
        pairs: prompts whose first image was compared.
        difference: the mean score of shared less standard images, and where that of the whole set lies; as `max_loss`
            is measured.
        passed: whether no image is missing, and the whole interval lies at or above -`max_loss`.
        missing: pairs whose image sharing failed to make; each counts as a loss of 1.
    """

    budget: float
    tau: float
    pairs: int
    difference: Interval
    passed: bool
    missing: int = 0


class PilotCurve(NamedTuple):
    """The budgets that a pilot tried.

    Attributes:
        metric: the score that tells.
        max_loss: the most of it that may be lost, in [0, 1].
        points: at least one, from safe to bold.
    """

    metric: str
    max_loss: float
    points: Sequence[PilotPoint]

    def as_json(self) -> dict[str, Any]:
        """For the file beside the quality page."""
        return {"metric": self.metric, "max_loss": self.max_loss, "points": [asdict(point) for point in self.points]}
