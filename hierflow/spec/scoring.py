"""How good images are: which scores they are given, and what they are compared with."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from hierflow.errors import InputError
from hierflow.spec.section import Number, OptionalNumber, Section

MetricName = Literal["vqa", "clip"]


class VqaSpec(Section):
    """The model that is asked whether an image shows its prompt."""

    model: str | None = Field(
        None,
        min_length=1,
        description="Hub id or folder of an image-text-to-text model; for `mini` by default the judge that comes "
        "with it. Relative folders are relative to the document.",
    )
    revision: str | None = Field(None, description="Branch, tag or commit of a hub model.")
    question: str | None = Field(
        None,
        description="What it is asked; `{prompt}` stands for the prompt. By default what VQAScore asks: `Does this "
        'figure show "{prompt}"? Please answer yes or no.`',
    )

    @field_validator("question")
    @classmethod
    def _has_prompt(cls, value: str | None) -> str | None:
        if value is not None and value.count("{prompt}") != 1:
            raise ValueError("does not hold {prompt} once")
        return value


class ClipSpec(Section):
    """The CLIP model that compares an image with its prompt."""

    model: str | None = Field(
        None,
        min_length=1,
        description="Hub id or folder of a CLIP model; by default the one that the diffusion model brings, if any.",
    )
    revision: str | None = Field(None, description="Branch, tag or commit of a hub model.")


class ScoringSpec(Section):
    """How good images are. What is set here neither denoises nor decodes an image of the set again."""

    metrics: tuple[MetricName, ...] | None = Field(
        None,
        description="The scores that every image is given: `vqa` (VQAScore, as log-odds) and `clip` (CLIP "
        "similarity). By default `clip` where the diffusion model brings a CLIP model, else none.",
    )
    vqa: VqaSpec = Field(VqaSpec(), description="The model of the score `vqa`.")
    clip: ClipSpec = Field(ClipSpec(), description="The model of the score `clip`.")
    baseline_sample: int = Field(
        0,
        ge=0,
        strict=True,
        description="For so many prompts, drawn at random, images are also made the standard way, with another "
        "seed, and on a shuffled tree, and compared; 64 is a start. What that takes is booked as `measured`; 0 "
        "measures nothing.",
    )
    quality_floor: OptionalNumber = Field(
        None,
        ge=0,
        le=1,
        description="The least win rate of shared images against standard ones; 0.5 is as good as they are. Once "
        "the evidence excludes it, `hierflow run` fails, and so does a blocking check in Dagster.",
    )
    near_duplicate: Number = Field(
        0.97,
        gt=0,
        le=1,
        description="Images of different prompts whose CLIP embeddings have at least this cosine are listed as near "
        "duplicates.",
    )

    @model_validator(mode="after")
    def _sample_for_the_floor(self) -> Self:
        if self.quality_floor is not None and not self.baseline_sample:
            raise InputError(
                "needs images to compare with",
                field="scoring.quality_floor",
                value=self.quality_floor,
                remedy="set scoring.baseline_sample, to 64 for a start",
            )
        if self.baseline_sample and self.metrics == ():
            raise InputError(
                "needs a score to compare by",
                field="scoring.baseline_sample",
                value=self.baseline_sample,
                remedy="add vqa or clip to scoring.metrics",
            )
        return self

    @model_validator(mode="after")
    def _models_of_metrics(self) -> Self:
        for metric, section in (("vqa", self.vqa), ("clip", self.clip)):
            given = next((name for name, value in section if value is not None), None)
            if given and metric not in (self.metrics or ()):
                raise InputError(
                    "belongs to a score that images are not given",
                    field=f"scoring.{metric}.{given}",
                    value=getattr(section, given),
                    remedy=f"add {metric} to scoring.metrics",
                )
            if section.revision and not section.model:
                raise InputError(
                    "goes with a model of the hub, and none is named",
                    field=f"scoring.{metric}.revision",
                    value=section.revision,
                    remedy=f"name it: scoring.{metric}.model",
                )
        return self
