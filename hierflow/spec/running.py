"""When and how Dagster runs a set, and how the set appears there."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from hierflow.spec.cron import NICKNAMES, check_cron
from hierflow.spec.section import Section

GROUP_PATTERN = r"^[A-Za-z0-9_]+(/[A-Za-z0-9_]+)*$"
POOL_PATTERN = r"^\S+$"
_KEY_PART = re.compile(r"[A-Za-z0-9_]+")
_ASSET_KEY = re.compile(r"[A-Za-z0-9_]+(/[A-Za-z0-9_]+)*")
_TAG_KEY = re.compile(r"([A-Za-z0-9_.-]{1,63}/)?[A-Za-z0-9_.-]{1,63}")
_TAG_VALUE = re.compile(r"[A-Za-z0-9_.-]{0,63}")
_OWNER = re.compile(r"team:[\w.-]+|[^@\s]+@[^@\s]+\.[^@\s]+")


class ScheduleSpec(Section):
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
        if value not in NICKNAMES:
            check_cron(value)
        return value

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("is not a time zone") from error
        return value


def _tag_value(value: object) -> object:
    if not isinstance(value, str | dict):
        raise ValueError("is neither text nor a mapping")
    return value


TagValue = Annotated[str | dict[str, Any], BeforeValidator(_tag_value)]
"""A tag's text, or a mapping that Dagster reads as JSON, such as that of `dagster-k8s/config`."""
JobName = Literal["plan", "subtrees", "finish", "quality"]


class RunTagsSpec(BaseModel):
    """Tags of runs: those of all jobs by their keys, and beside them those of one job."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, TagValue]

    plan: dict[str, TagValue] = Field({}, description="Tags of the runs of the job `NAME` alone.")
    subtrees: dict[str, TagValue] = Field({}, description="Tags of the runs of `NAME_subtrees` alone.")
    finish: dict[str, TagValue] = Field({}, description="Tags of the runs of `NAME_finish` alone.")
    quality: dict[str, TagValue] = Field({}, description="Tags of the runs of `NAME_quality` alone.")

    def of(self, job: JobName) -> dict[str, str]:
        """The tags of a job's runs; its own replace those of all jobs. Mappings are JSON text."""
        own: dict[str, TagValue] = getattr(self, job)
        tags = {**self.__pydantic_extra__, **own}
        return {key: value if isinstance(value, str) else json.dumps(value) for key, value in tags.items()}


class RunsSpec(Section):
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
    pool: str | None = Field(
        None,
        pattern=POOL_PATTERN,
        description="The concurrency pool of Dagster's that the steps which use the device take a slot of: encoding, "
        "denoising, and the quality report.",
    )
    tags: RunTagsSpec = Field(
        RunTagsSpec(),
        description="Tags of the runs of all jobs, such as those your run launcher reads; a mapping is passed as "
        "JSON. Tags under `plan`, `subtrees`, `finish` or `quality` are those of one job.",
    )


class AssetsSpec(Section):
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
