"""Names in Dagster: jobs, sensors, partitions and tags of a set. Asset keys are in :mod:`hierflow.assets.graph`."""

from __future__ import annotations

from dataclasses import dataclass

SET_TAG = "hierflow/set"
ACCELERATOR_TAG = "hierflow/accelerator"
"""On every run that may hold a GPU: `diffusion.device`, for an instance's `tag_concurrency_limits`."""
DOCUMENT_TAG = "hierflow/document"
"""Digest of the document that the code location had loaded when it requested the run."""
DOCUMENT_TIME_TAG = "hierflow/document_time"
"""When that document was written, in seconds since the epoch."""
SCORING_TAG = "hierflow/scoring"
"""Digest of the section `scoring` that a quality report was requested for."""
PROMPTS_TAG = "hierflow/prompts"
PLAN_TAG = "hierflow/plan"
SELECTION_TAG = "hierflow/selection"
"""Of a run that makes only some prompts of the set: which, as JSON."""
INVOCATION_TAG = "hierflow/invocation"
"""Of the request that a run belongs to: the run of the set's job, or the command, that everything follows from."""
PROCESS_TAG = "hierflow/process"


@dataclass(frozen=True)
class SetNames:
    """The names of the set called `name`."""

    name: str

    def op(self, asset: str) -> str:
        """The step that makes one of the set's unpartitioned assets."""
        return f"{self.name}__{asset}"

    @property
    def subtree_op(self) -> str:
        """The step that makes a partition's latents, images and scores."""
        return f"{self.name}__subtree"

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

    @property
    def quality_job(self) -> str:
        """How good the set is: baselines, and what its images look like as a set."""
        return f"{self.name}_quality"

    @property
    def sensor(self) -> str:
        """Continues a plan: partitions, then image set and audit, then quality."""
        return f"{self.name}_continue"

    @property
    def prompts_sensor(self) -> str:
        """Watches the prompts."""
        return f"{self.name}_prompts"

    @property
    def schedule(self) -> str:
        """Starts the set's job."""
        return f"{self.name}_schedule"
