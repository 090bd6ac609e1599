"""The user's document: what an image set is made of, how it is shared, and where it lies.

These models know neither YAML nor Dagster; :mod:`hierflow.document` reads them from a file and
`hierflow.ImageSet` carries them into Dagster.
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from hierflow.prompts import PromptSource

SchedulerName = Literal["ddpm", "ddim", "dpmpp_2m", "unipc", "euler", "euler_ancestral"]
LinkageName = Literal["ward", "average", "centroid"]

NAME_PATTERN = r"^[A-Za-z][A-Za-z0-9_]{0,63}$"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DiffusionSpec(_Section):
    """The model and how it samples. A change here makes every image anew."""

    model: str = Field(
        "mini",
        description="`mini` (the embedded model), a Hugging Face hub id, or a local folder in diffusers format. "
        "Relative folders are relative to the document.",
    )
    revision: str | None = Field(None, description="Branch, tag or commit of a hub model.")
    prior: str | None = Field(
        None,
        description="Hub id or folder of the prior; by default the model's own `prior` folder, or its hub id "
        "with `-decoder` replaced by `-prior`.",
    )
    steps: int = Field(40, ge=1, le=1000, strict=True, description="The number of denoising steps; 40 is usual.")
    guidance_scale: float = Field(4.0, ge=0, description="Classifier-free guidance; 1 or less turns it off.")
    scheduler: SchedulerName = Field("ddpm", description="The sampler; ddpm is what the model was trained with.")
    seed: int = Field(
        0, ge=0, le=2**63 - 1, strict=True, description="The seed all noise is derived from; the manifest holds it."
    )
    images_per_prompt: int = Field(1, ge=1, strict=True, description="Images a prompt, each with its own noise.")
    height: int | None = Field(None, ge=8, strict=True, description="Pixels; by default the model's own size.")
    width: int | None = Field(None, ge=8, strict=True, description="Pixels; by default the model's own size.")
    initial_noise: Literal["per_root", "shared"] = Field(
        "per_root",
        description="`per_root`: every tree that is not shared from the first step starts from noise of its own. "
        "`shared`: all start from one, as the paper's release does.",
    )
    prior_steps: int = Field(25, ge=1, strict=True, description="Sampling steps of the prior.")
    prior_guidance_scale: float = Field(4.0, ge=0, description="Guidance of the prior.")
    prior_seed: int = Field(0, ge=0, strict=True, description="Seed of the prior's noise; the tree depends on it.")
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        "auto", description="Precision of the networks; `auto` is float32 on a CPU and float16 on a GPU."
    )
    device: str = Field("auto", description="`auto`, `cpu`, `cuda` or `cuda:1`.")
    deterministic: bool | None = Field(
        None,
        description="Promise equal bits whatever the batch, by always showing the network one small padded batch. "
        "By default on for float32 on a CPU, off elsewhere.",
    )

    @field_validator("guidance_scale", "prior_guidance_scale", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        return _number(value)

    @field_validator("guidance_scale", "prior_guidance_scale")
    @classmethod
    def _finite(cls, value: float) -> float:
        return _finite(value)


class SharingSpec(_Section):
    """How much of the denoising similar prompts share."""

    tau: float = Field(
        1.0,
        ge=0,
        description="The height up to which prompts share the first step; 0 shares nothing.",
    )
    linkage: LinkageName = Field("ward", description="How the embedding tree is built.")
    checkpoint_every: int = Field(
        5,
        ge=0,
        strict=True,
        description="Store the states of every so many steps, besides those at splits; 0: none.",
    )

    @field_validator("tau", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        return _number(value)

    @field_validator("tau")
    @classmethod
    def _finite(cls, value: float) -> float:
        return _finite(value)


class PartitionsSpec(_Section):
    """How the set is divided into runs."""

    max_prompts: int = Field(256, ge=1, strict=True, description="The largest number of prompts a partition holds.")


class StorageSpec(_Section):
    """Where everything is kept."""

    path: str = Field(
        "./out",
        min_length=1,
        description="A folder or any fsspec URL; relative paths are relative to the document.",
    )


class ImageSetSpec(_Section):
    """One image set: the attributes of a `hierflow.ImageSet` document."""

    name: str = Field(
        description="Names the set, its assets, its job and its folder: letters, digits and underscores.",
        pattern=NAME_PATTERN,
    )
    prompts: PromptSource = Field(
        description="Where the prompts come from: one of `file`, `text`, `template` with `axes`, and `table`."
    )
    diffusion: DiffusionSpec = Field(DiffusionSpec(), description="The model and how it samples.")
    sharing: SharingSpec = Field(SharingSpec(), description="How much similar prompts share.")
    partitions: PartitionsSpec = Field(PartitionsSpec(), description="How the set is divided.")
    storage: StorageSpec = Field(StorageSpec(), description="Where everything is kept.")


def _number(value: object) -> object:
    if isinstance(value, bool):  # YAML reads yes and no so, and pydantic would read them as 1 and 0
        raise ValueError("is not a number")
    return value


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("is not a finite number")
    return value
