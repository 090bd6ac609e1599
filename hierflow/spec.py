"""The user's document: what an image set is made of, how it is shared, and where it lies.

These models know neither YAML nor Dagster; :mod:`hierflow.document` reads them from a file and
`hierflow.ImageSet` carries them into Dagster.
"""

from __future__ import annotations

import math
import re
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from hierflow.errors import InputError
from hierflow.prompts import PromptSource

SchedulerName = Literal[
    "ddpm",
    "ddim",
    "dpmpp_2m",
    "dpmpp_2m_sde",
    "unipc",
    "deis",
    "euler",
    "euler_ancestral",
    "heun",
    "pndm",
    "lcm",
    "flow_euler",
]
LinkageName = Literal["ward", "average", "centroid"]
AttentionName = Literal[
    "flash",
    "flex",
    "sage",
    "xformers",
    "_flash_3",
    "_native_cudnn",
    "_native_efficient",
    "_native_flash",
    "_native_math",
]
"""Those of diffusers' backends that fetch no code and are not the usual one."""

NAME_PATTERN = r"^[A-Za-z][A-Za-z0-9_]{0,63}$"
GROUP_PATTERN = r"^[A-Za-z0-9_]+(/[A-Za-z0-9_]+)*$"
URL_PATTERN = r"^(https?|file)://"
SAFETENSORS_PATTERN = r"\.safetensors$"
_KEY_PART = re.compile(r"[A-Za-z0-9_]+")
_ASSET_KEY = re.compile(r"[A-Za-z0-9_]+(/[A-Za-z0-9_]+)*")
_TAG_KEY = re.compile(r"([A-Za-z0-9_.-]{1,63}/)?[A-Za-z0-9_.-]{1,63}")
_TAG_VALUE = re.compile(r"[A-Za-z0-9_.-]{0,63}")
_OWNER = re.compile(r"team:[\w.-]+|[^@\s]+@[^@\s]+\.[^@\s]+")


_CRON_NICKNAMES = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")
_CRON_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_CRON_NAMES = {
    3: ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
    4: ("sun", "mon", "tue", "wed", "thu", "fri", "sat"),
}
_CRON_PART = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/([1-9]\d*))?")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LoraSpec(_Section):
    """A LoRA: what a small file of weights adds to the model's own."""

    model: str = Field(
        min_length=1,
        description="A safetensors file, a folder that holds one, or a Hugging Face hub id. Relative paths are "
        "relative to the document.",
    )
    weight: float = Field(1.0, description="How much of it is added; 0 is nothing, and less than 0 the opposite.")
    revision: str | None = Field(None, description="Branch, tag or commit of a hub LoRA.")
    file: str | None = Field(
        None,
        pattern=SAFETENSORS_PATTERN,
        description="The file within the folder or the hub repository, where there are several.",
    )

    @field_validator("weight", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        return _number(value)

    @field_validator("weight")
    @classmethod
    def _finite(cls, value: float) -> float:
        return _finite(value)


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
    prior_revision: str | None = Field(None, description="Branch, tag or commit of a hub prior.")
    loras: tuple[LoraSpec, ...] = Field(
        (), description="LoRAs that are added to the model's weights; needs `pip install 'hierflow[lora]'`."
    )
    steps: int = Field(40, ge=1, le=1000, strict=True, description="The number of denoising steps; 40 is usual.")
    guidance_scale: float | None = Field(
        None,
        ge=0,
        description="How strongly images follow their prompts; by default what is usual for the model, 4 for `mini`. "
        "1 or less turns classifier-free guidance off.",
    )
    negative_prompt: str | None = Field(
        None, description="What images should not show; by default nothing, as the model's own pipeline says it."
    )
    scheduler: SchedulerName | None = Field(
        None, description="The sampler; by default the one the model comes with (ddpm for `mini`)."
    )
    scheduler_options: dict[str, Any] = Field(
        {}, description="Settings of the sampler by their names in diffusers, such as `use_karras_sigmas: true`."
    )
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
        "auto",
        description="Precision of the networks; `auto` is float32 on a CPU, and on a GPU the half precision that the "
        "model was made for.",
    )
    device: str = Field("auto", description="`auto`, `cpu`, `cuda` or `cuda:1`.")
    deterministic: bool | None = Field(
        None,
        description="Promise equal bits whatever the batch, by always showing the network one small padded batch. "
        "By default on for float32 on a CPU, off elsewhere.",
    )
    batch_size: int | Literal["auto"] = Field(
        "auto",
        description="The most rows the denoiser sees at once. `auto`: as many as fit; where memory runs out, half as "
        "many, which the next run remembers. With `deterministic` on, the size of every batch, and images depend on "
        "its last bits.",
    )
    attention: AttentionName | None = Field(
        None,
        description="The attention backend of the denoiser, by its name in diffusers, where the model takes one, as "
        "FLUX and Qwen-Image do; by default PyTorch's own.",
    )
    channels_last: bool = Field(
        False, strict=True, description="Keep the denoiser's weights in channels-last order; for UNets only."
    )
    compile: bool = Field(False, strict=True, description="Compile the denoiser with `torch.compile`.")
    vae_tiling: bool = Field(
        False, strict=True, description="Decode large images in tiles that overlap, which takes less memory."
    )
    offload: Literal["parts", "none", "layers"] = Field(
        "parts",
        description="What is on a GPU. `parts`: encoders, denoiser or decoder, each while it works. `none`: "
        "everything, once it has worked. `layers`: of the denoiser, one layer at a time, which is slow.",
    )
    safety_check: str | None = Field(
        None,
        min_length=1,
        description="Folder or hub id of a Stable Diffusion safety checker. What it says of each image is the score "
        "`flagged`, 0 or 1; no image is changed.",
    )

    @field_validator("batch_size", mode="before")
    @classmethod
    def _batch(cls, value: object) -> object:
        if value != "auto" and (type(value) is not int or value < 1):
            raise ValueError("is neither auto nor a whole number of at least 1")
        return value

    @field_validator("guidance_scale", "prior_guidance_scale", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        return _number(value)

    @field_validator("guidance_scale", "prior_guidance_scale")
    @classmethod
    def _finite(cls, value: float | None) -> float | None:
        return value if value is None else _finite(value)


class SharingSpec(_Section):
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
        return _number(value)

    @field_validator("tau", "graft_tolerance", "max_regret", "max_drift")
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
    url: str | None = Field(
        None,
        pattern=URL_PATTERN,
        description="Where a browser finds the folder of `path`, such as https://images.example.com; links in the "
        "Dagster UI then lead there.",
    )
    keep: Literal["branch_points", "all", "none"] = Field(
        "branch_points",
        description="Which states stay once the set is complete. `branch_points`: those at splits, the last of every "
        "image, and the checkpoints of steps that prompts share. `all`: the other checkpoints too. `none`: no state; "
        "only with `sharing.tree: fresh`.",
    )


class CostSpec(_Section):
    """What computing costs; the audit turns GPU seconds and kWh into money."""

    per_gpu_hour: float | None = Field(None, ge=0, description="The price of an hour of one GPU.")
    per_kwh: float | None = Field(None, ge=0, description="The price of a kWh, where the card reports its energy.")
    currency: str = Field("USD", min_length=1, max_length=8, description="The currency of both prices.")

    @field_validator("per_gpu_hour", "per_kwh", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        return _number(value)

    @field_validator("per_gpu_hour", "per_kwh")
    @classmethod
    def _finite(cls, value: float | None) -> float | None:
        return value if value is None else _finite(value)


class ScheduleSpec(_Section):
    """When the set is planned and made anew, night after night."""

    cron: str = Field(
        description="A cron expression of five fields (minute, hour, day, month, weekday), such as `0 3 * * *`."
    )
    timezone: str = Field("UTC", description="An IANA time zone such as Europe/Vienna.")

    @model_validator(mode="before")
    @classmethod
    def _of_text(cls, value: object) -> object:
        return {"cron": value} if isinstance(value, str) else value

    @field_validator("cron")
    @classmethod
    def _times(cls, value: str) -> str:
        if value not in _CRON_NICKNAMES and not is_cron(value):
            raise ValueError("is not a cron expression")
        return value

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("is not a time zone") from error
        return value


class RunsSpec(_Section):
    """How Dagster runs the set."""

    max_concurrent: int = Field(
        1,
        ge=1,
        strict=True,
        description="Partitions that the sensor keeps at work at once: the number of GPUs. Sets with the same "
        "`diffusion.device` count together.",
    )
    retries: int = Field(
        1, ge=0, strict=True, description="How often a step that failed for a reason outside the set is tried again."
    )
    on_change: bool = Field(
        False, strict=True, description="Start the set's job as soon as its prompts have changed, without a schedule."
    )
    automation: bool = Field(
        False,
        strict=True,
        description="Give the assets declarative automation conditions, beside the sensor that continues a plan.",
    )
    tags: dict[str, str] = Field({}, description="Tags of every run, such as those your run launcher reads.")


class AssetsSpec(_Section):
    """How the set appears in Dagster's asset graph."""

    group: str | None = Field(
        None, pattern=GROUP_PATTERN, description="The assets' group; by default the set's name."
    )
    key_prefix: tuple[str, ...] = Field((), description="What stands before the set's name in its asset keys.")
    owners: tuple[str, ...] = Field((), description="Email addresses, and teams as `team:name`.")
    tags: dict[str, str] = Field(
        {}, description="Tags of every asset: up to 63 letters, digits, `_`, `.` and `-` a key and a value."
    )
    deps: tuple[str, ...] = Field(
        (), description="Keys of the assets that the prompts are made by, such as `warehouse/products`."
    )

    @field_validator("key_prefix")
    @classmethod
    def _parts(cls, parts: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := next((part for part in parts if not _KEY_PART.fullmatch(part)), None):
            raise ValueError(f"holds {wrong!r}, and asset keys are made of letters, digits and underscores")
        return parts

    @field_validator("deps")
    @classmethod
    def _keys(cls, deps: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := next((dep for dep in deps if not _ASSET_KEY.fullmatch(dep)), None):
            raise ValueError(f"holds {wrong!r}, which is not an asset key")
        return deps

    @field_validator("tags")
    @classmethod
    def _allowed(cls, tags: dict[str, str]) -> dict[str, str]:
        for key, value in tags.items():
            if not (_TAG_KEY.fullmatch(key) and _TAG_VALUE.fullmatch(value)):
                raise ValueError(f"holds the tag {key}: {value!r}, which Dagster does not allow")
        return tags

    @field_validator("owners")
    @classmethod
    def _addresses(cls, owners: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := next((owner for owner in owners if not _OWNER.fullmatch(owner)), None):
            raise ValueError(f"holds {wrong!r}, which is neither an email address nor team:name")
        return owners


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
    cost: CostSpec = Field(CostSpec(), description="What computing costs, for the audit.")
    schedule: ScheduleSpec | None = Field(
        None, description="When the set is made: a cron expression, or `cron` and `timezone`."
    )
    runs: RunsSpec = Field(RunsSpec(), description="How Dagster runs the set.")
    assets: AssetsSpec = Field(AssetsSpec(), description="How the set appears in Dagster's asset graph.")

    @model_validator(mode="after")
    def _states_for_the_tree(self) -> Self:
        if self.storage.keep == "none" and self.sharing.tree == "pinned":
            raise InputError(
                "goes with sharing.tree: fresh only, as prompts are grafted on the states of a pinned tree",
                field="storage.keep",
                value="none",
                remedy="write storage.keep: branch_points, or sharing.tree: fresh",
            )
        return self


def _number(value: object) -> object:
    if isinstance(value, bool):  # YAML reads yes and no so, and pydantic would read them as 1 and 0
        raise ValueError("is not a number")
    return value


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("is not a finite number")
    return value


def is_cron(text: str) -> bool:
    """Whether `text` is a cron expression of five fields, each within its bounds."""
    fields = text.split()
    if len(fields) != len(_CRON_BOUNDS):
        return False
    return all(
        (match := _CRON_PART.fullmatch(part.lower())) is not None
        and all(bound is None or _within(place, bound) for bound in match.groups()[:2])
        for place, cron_field in enumerate(fields)
        for part in cron_field.split(",")
    )


def _within(place: int, value: str) -> bool:
    low, high = _CRON_BOUNDS[place]
    return value in _CRON_NAMES.get(place, ()) or (value.isdigit() and low <= int(value) <= high)
