"""How much of the denoising similar prompts share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from hierflow.errors import InputError
from hierflow.spec.section import Section, finite, number

LinkageName = Literal["ward", "average", "centroid"]


class SharingSpec(Section):
    """How much of the denoising similar prompts share."""

    tau: float = Field(
        1.0,
        ge=0,
        description="The height up to which prompts share the first step; 0 shares nothing.",
    )
    budget: float | None = Field(
        None,
        gt=0,
        le=1,
        description="In place of tau: the share of the standard evaluations that the set may take; tau is the least "
        "that keeps within it when the tree is founded.",
    )
    linkage: LinkageName = Field("ward", description="How the embedding tree is built.")
    tree: Literal["pinned", "fresh"] = Field(
        "pinned",
        description="`pinned`: a tree that has run is kept, new prompts are grafted on it, no other image changes. "
        "`fresh`: every change of the prompts builds the tree anew.",
    )
    graft_tolerance: float = Field(
        1.3,
        ge=0,
        description="How far grafted prompts may be from what they share: their mismatch, in units of the founding "
        "prompts' mean.",
    )
    max_regret: float = Field(
        0.35, ge=0, description="Warn when the pinned tree plans so much more than a fresh one would; 0.35 is 35 %."
    )
    max_drift: float = Field(
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
        """What is said of tau: the one of `tau` and `budget` that holds."""
        return {"tau": self.tau} if self.budget is None else {"budget": self.budget}

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if self.budget is not None and "tau" in self.model_fields_set:
            raise InputError(
                "stands beside sharing.tau, and either decides how much is shared",
                field="sharing.budget",
                value=self.budget,
                remedy="leave one of them out",
            )
        return self

    @field_validator("tau", "budget", "graft_tolerance", "max_regret", "max_drift", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        return number(value)

    @field_validator("tau", "budget", "graft_tolerance", "max_regret", "max_drift")
    @classmethod
    def _finite(cls, value: float | None) -> float | None:
        return value if value is None else finite(value)
