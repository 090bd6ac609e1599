"""A set's real Dagster runs against an instance that lives only in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg

from hierflow.assets.build import definitions_of
from hierflow.assets.events import known_versions
from hierflow.assets.liveness import process_tag
from hierflow.assets.names import SetNames
from hierflow.assets.served_set import ServedSet
from hierflow.document import load_document

NAMES = SetNames("trial")
DEAD_PROCESS = f"{process_tag().rsplit(':', 2)[0]}:999999999:1"
"""The tag of a process of this host that is gone."""
DATA_VERSION = "dagster/data_version"


@dataclass
class Served:
    """The set of a document as Dagster serves it, read anew for every run."""

    document: Path
    instance: dg.DagsterInstance = field(default_factory=dg.DagsterInstance.ephemeral)

    @property
    def definitions(self) -> dg.Definitions:
        """Of the document as it stands."""
        return definitions_of(self.served)

    @property
    def served(self) -> ServedSet:
        """The set of the document as it stands."""
        return ServedSet(load_document(self.document), self.document.parent, self.document)

    @property
    def partitions(self) -> list[str]:
        """The keys the instance knows."""
        return list(self.instance.get_dynamic_partitions(NAMES.partitions))

    def execute(
        self, job: str, partition: str | None = None, config: dict[str, Any] | None = None, **tags: str
    ) -> dg.ExecuteInProcessResult:
        """One run of a job, which may fail; `config` is that of the tree's op."""
        resolved = self.definitions.resolve_job_def(job)
        ops = {NAMES.op("embedding_tree"): {"config": config}} if config else {}
        return resolved.execute_in_process(
            instance=self.instance, partition_key=partition, raise_on_error=False, tags=tags, run_config={"ops": ops}
        )

    def execute_all(self) -> None:
        """The plan, every partition, and the reports."""
        assert self.execute(NAMES.plan_job).success
        for partition in self.partitions:
            assert self.execute(NAMES.subtree_job, partition).success
        assert self.execute(NAMES.finish_job).success

    def event(self, asset: str) -> dg.AssetMaterialization:
        """The latest materialisation of an asset."""
        found = self.instance.get_latest_materialization_event(self.served.key(asset))
        assert found is not None
        assert found.asset_materialization is not None
        return found.asset_materialization

    def version(self, asset: str) -> str:
        """The latest data version of an asset without partitions."""
        tags = self.event(asset).tags
        assert tags is not None
        return tags[DATA_VERSION]

    def versions(self, asset: str) -> dict[str, str]:
        """The latest data version of each partition."""
        return known_versions(self.instance, self.served.key(asset), self.partitions)

    def metadata(self, asset: str) -> dict[str, Any]:
        """The values of the latest materialisation's metadata."""
        return {name: value.value for name, value in self.event(asset).metadata.items()}
