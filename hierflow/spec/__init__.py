"""The user's document: what an image set is made of, how it is shared, and where it lies.

These models know neither YAML nor Dagster; :mod:`hierflow.document` reads them from a file and
`hierflow.ImageSet` carries them into Dagster.
"""

from hierflow.spec.diffusion import SAFETENSORS_PATTERN, AttentionName, DiffusionSpec, LoraSpec, SchedulerName
from hierflow.spec.embedding import EmbeddingSpec
from hierflow.spec.image_set import (
    NAME_PATTERN,
    URL_PATTERN,
    CostSpec,
    ImageSetSpec,
    PartitionsSpec,
    StorageSpec,
)
from hierflow.spec.running import GROUP_PATTERN, AssetsSpec, RunsSpec, ScheduleSpec
from hierflow.spec.scoring import ClipSpec, ScoringSpec, VqaSpec
from hierflow.spec.sharing import LinkageName, QualityTarget, SharingSpec

__all__ = [
    "GROUP_PATTERN",
    "NAME_PATTERN",
    "SAFETENSORS_PATTERN",
    "URL_PATTERN",
    "AssetsSpec",
    "AttentionName",
    "ClipSpec",
    "CostSpec",
    "DiffusionSpec",
    "EmbeddingSpec",
    "ImageSetSpec",
    "LinkageName",
    "LoraSpec",
    "PartitionsSpec",
    "QualityTarget",
    "RunsSpec",
    "ScheduleSpec",
    "SchedulerName",
    "ScoringSpec",
    "SharingSpec",
    "StorageSpec",
    "VqaSpec",
]
