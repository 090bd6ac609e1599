"""Names in Dagster: asset keys, jobs, partitions and tags of a set."""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg

SET_TAG = "hierflow/set"
PLAN_TAG = "hierflow/plan"
INVOCATION_TAG = "hierflow/invocation"
PROCESS_TAG = "hierflow/process"


@dataclass(frozen=True)
class SetNames:
    """The names of the set called `name`."""

    name: str

    def key(self, asset: str) -> dg.AssetKey:
        """The key of one of the set's assets."""
        return dg.AssetKey([self.name, asset])

    def op(self, asset: str) -> str:
        """The step that makes one of the set's unpartitioned assets."""
        return self.key(asset).to_python_identifier()

    @property
    def partitions(self) -> str:
        """The dynamic partitions of the set's subtrees."""
        return f"{self.name}_subtrees"

    @property
    def plan_job(self) -> str:
        """Prompts to plan and trunk: the job that a schedule starts."""
        return self.name

    @property
    def subtree_job(self) -> str:
        """Latents, images and scores of one partition."""
        return f"{self.name}_subtrees"

    @property
    def finish_job(self) -> str:
        """Manifest, gallery and audit."""
        return f"{self.name}_finish"
