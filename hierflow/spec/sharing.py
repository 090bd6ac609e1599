"""How much of the denoising similar prompts share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from hierflow.errors import InputError
from hierflow.spec.scoring import MetricName
from hierflow.spec.section import Number, OptionalNumber, Section

LinkageName = Literal["ward", "average", "centroid"]


class QualityTarget(Section):
    """How much quality may be given for sharing."""

    metric: MetricName = Field(
        "vqa", description="The score that losses are measured by; it has to be one of `scoring.metrics`."
    )
    max_loss: Number = Field(
        gt=0,
        description="The most that the mean score may lose against standard images of the same prompts: of `vqa` the "
        "probability of yes, of `clip` the cosine, where what is below 0 counts as 0.",
    )
    sample: int = Field(
        128,
        ge=16,
        strict=True,
        description="Prompts that the pilot makes images for; more tell smaller losses. 128 of a large set can show "
        "0.03 at the best, 0.01 takes 370.",
    )


class SharingSpec(Section):
    """How much of the denoising similar prompts share."""

    tau: Number = Field(
        1.0,
        ge=0,
        description="The height up to which prompts share the first step; 0 shares nothing.",
    )
    budget: OptionalNumber = Field(
        None,
        gt=0,
        le=1,
        description="In place of tau: the share of the standard evaluations that the set may take; tau is the least "
        "that keeps within it when the tree is founded.",
    )
    quality: QualityTarget | None = Field(
        None,
        description="In place of tau: a pilot finds, when the tree is founded, the cheapest of a row of budgets at "
        "which a sample of prompts loses no more than this.",
    )
    linkage: LinkageName = Field("ward", description="How the embedding tree is built.")
    tree: Literal["pinned", "fresh"] = Field(
        "pinned",
        description="`pinned`: a tree that has run is kept, new prompts are grafted on it, no other image changes. "
        "`fresh`: every change of the prompts builds the tree anew.",
    )
    graft_tolerance: Number = Field(
        1.3,
        ge=0,
        description="How far grafted prompts may be from what they share: their mismatch, in units of the founding "
        "prompts' mean.",
    )
    max_regret: Number = Field(
        0.35, ge=0, description="Warn when the pinned tree plans so much more than a fresh one would; 0.35 is 35 %."
    )
    max_drift: Number = Field(
        0.10,
        ge=0,
        description="Warn when live prompts are so much farther from what they share than on a fresh tree.",
    )
    checkpoint_every: int = Field(
        5,
        ge=0,
        strict=True,
        description="Store the states of every so many steps, besides those at splits; 0: none.",
    )

    @property
    def tau_from(self) -> Mapping[str, Any]:
        """What is said of tau: the one of `tau`, `budget` and `quality` that holds."""
        if self.quality is not None:
            return {"quality": self.quality.model_dump(mode="json")}
        return {"tau": self.tau} if self.budget is None else {"budget": self.budget}

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        given = [name for name in ("tau", "budget", "quality") if name in self.model_fields_set]
        given = [name for name in given if getattr(self, name) is not None]
        if len(given) > 1:
            raise InputError(
                f"stands beside sharing.{given[0]}, and each of them decides how much is shared",
                field=f"sharing.{given[1]}",
                remedy="leave one of them out",
            )
        return self
