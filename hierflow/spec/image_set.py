"""One image set: the attributes of a `hierflow.ImageSet` document."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from hierflow.errors import InputError
from hierflow.hashing import digest
from hierflow.prompts import PromptSource
from hierflow.spec.diffusion import DiffusionSpec
from hierflow.spec.embedding import EmbeddingSpec
from hierflow.spec.running import AssetsSpec, RunsSpec, ScheduleSpec
from hierflow.spec.scoring import ScoringSpec
from hierflow.spec.section import OptionalNumber, Section
from hierflow.spec.sharing import SharingSpec

NAME_PATTERN = r"^[A-Za-z][A-Za-z0-9_]{0,63}$"
URL_PATTERN = r"^(https?|file)://"


class PartitionsSpec(Section):
    """How the set is divided into runs."""

    max_prompts: int = Field(256, ge=1, strict=True, description="The largest number of prompts a partition holds.")


class StorageSpec(Section):
    """Where everything is kept."""

    path: str = Field(
        "./out",
        min_length=1,
        description="A folder or any fsspec URL; relative paths are relative to the document.",
    )
    options: dict[str, Any] = Field(
        {},
        exclude=True,
        repr=False,
        description="Keyword arguments of the fsspec file system of `path`, such as `endpoint_url` or `profile`. "
        "Write secrets as `{{ env.NAME }}`; they are never stored or shown.",
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


class CostSpec(Section):
    """What computing costs; the audit turns GPU seconds and kWh into money."""

    per_gpu_hour: OptionalNumber = Field(None, ge=0, description="The price of an hour of one GPU.")
    per_kwh: OptionalNumber = Field(None, ge=0, description="The price of a kWh, where the card reports its energy.")
    currency: str = Field("USD", min_length=1, max_length=8, description="The currency of both prices.")


class ImageSetSpec(Section):
    """One image set: the attributes of a `hierflow.ImageSet` document."""

    name: str = Field(
        description="Names the set, its assets, its job and its folder: letters, digits and underscores.",
        pattern=NAME_PATTERN,
    )
    prompts: PromptSource = Field(
        description="Where the prompts come from: one of `file`, `text`, `template` with `axes`, and `table`."
    )
    diffusion: DiffusionSpec = Field(DiffusionSpec(), description="The model and how it samples.")
    embedding: EmbeddingSpec = Field(EmbeddingSpec(), description="What the tree clusters the prompts by.")
    sharing: SharingSpec = Field(SharingSpec(), description="How much similar prompts share.")
    scoring: ScoringSpec = Field(ScoringSpec(), description="How good images are, and what they are compared with.")
    partitions: PartitionsSpec = Field(PartitionsSpec(), description="How the set is divided.")
    storage: StorageSpec = Field(StorageSpec(), description="Where everything is kept.")
    cost: CostSpec = Field(CostSpec(), description="What computing costs, for the audit.")
    schedule: ScheduleSpec | None = Field(
        None, description="When the set is made: a cron expression, or `cron` and `timezone`."
    )
    runs: RunsSpec = Field(RunsSpec(), description="How Dagster runs the set.")
    assets: AssetsSpec = Field(AssetsSpec(), description="How the set appears in Dagster's asset graph.")
    _document_digest: str = PrivateAttr("")

    @property
    def document_digest(self) -> str:
        """Hash of the document's attributes as written; of the fields for a set that is defined in Python.

        Comments and layout do not change it, nor do the values of environment variables.
        """
        return self._document_digest or digest("hierflow document 1", self.model_dump(mode="json"))

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
