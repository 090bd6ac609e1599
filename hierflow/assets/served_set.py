"""An image set as Dagster serves it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from hierflow.assets.graph import Translate, asset_specs
from hierflow.assets.names import DOCUMENT_TAG, DOCUMENT_TIME_TAG, SetNames
from hierflow.hashing import digest
from hierflow.spec import ImageSetSpec

if TYPE_CHECKING:
    from hierflow.stages.context import Stage

RETRY_SECONDS = 5


@dataclass(frozen=True)
class ServedSet:
    """The set's spec and where its document lies.

    Attributes:
        spec: the document.
        base: the folder that its relative paths are relative to.
        document: its file; None for a set described in Python.
        translate: what the owner of the code location makes of every asset's spec.
    """

    spec: ImageSetSpec
    base: Path
    document: Path | None
    translate: Translate = lambda spec: spec

    @property
    def names(self) -> SetNames:
        """The names of its jobs, sensors and partitions."""
        return SetNames(self.spec.name)

    @cached_property
    def document_tags(self) -> dict[str, str]:
        """Tags that name the version of the document which this process has loaded."""
        tags = {DOCUMENT_TAG: self.spec.document_digest}
        if self.document and self.document.is_file():
            tags[DOCUMENT_TIME_TAG] = str(self.document.stat().st_mtime)
        return tags

    @property
    def scoring_digest(self) -> str:
        """Hash of the section `scoring`."""
        return digest("hierflow scoring 1", self.spec.scoring.model_dump(mode="json"))

    @cached_property
    def specs(self) -> dict[str, dg.AssetSpec]:
        """The spec of every asset, by its short name."""
        return asset_specs(self.spec, self.translate)

    def key(self, asset: str) -> dg.AssetKey:
        """The key of one of the set's assets."""
        return self.specs[asset].key

    @property
    def keys(self) -> set[dg.AssetKey]:
        """The keys of all of them."""
        return {spec.key for spec in self.specs.values()}

    @property
    def retry_policy(self) -> dg.RetryPolicy | None:
        """For what fails outside the set; wrong input is never tried again."""
        retries = self.spec.runs.retries
        if not retries:
            return None
        return dg.RetryPolicy(max_retries=retries, delay=RETRY_SECONDS, backoff=dg.Backoff.EXPONENTIAL)

    @property
    def pool(self) -> str | None:
        """The concurrency pool of the steps that use the device."""
        return self.spec.runs.pool

    def stage(self, run: str, invocation: str) -> Stage:
        """A stage outside a Dagster run: for a sensor, or a command."""
        from hierflow.stages.context import Stage

        return Stage(self.spec, self.base, self.document, run=run, invocation=invocation)
