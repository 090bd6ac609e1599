"""How much of the denoising similar prompts share."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from hierflow.spec.section import Section, finite, number

LinkageName = Literal["ward", "average", "centroid"]


class SharingSpec(Section):
    """How much of the denoising similar prompts share."""

    tau: float = Field(
        1.0,
        ge=0,
        description="The height up to which prompts share the first step; 0 shares nothing.",
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

    @field_validator("tau", "graft_tolerance", "max_regret", "max_drift", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        return number(value)

    @field_validator("tau", "graft_tolerance", "max_regret", "max_drift")
    @classmethod
    def _finite(cls, value: float) -> float:
        return finite(value)
