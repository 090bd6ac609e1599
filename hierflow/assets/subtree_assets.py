"""The assets of a partition: latents, images and scores, from one op, so that a model loads once a process.

What the op does is imported as it runs: a code location that only lists its assets stays light.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import dagster as dg

from hierflow.assets.events import materialization
from hierflow.assets.graph import SUBTREE_ASSETS
from hierflow.assets.run_stage import plan_of, run_stage, selected_prompts
from hierflow.assets.served_set import ServedSet
from hierflow.hashing import digest

if TYPE_CHECKING:
    from hierflow.plan.compiled import CompiledPlan
    from hierflow.plan.selection import Selected
    from hierflow.prompts import PromptSet
    from hierflow.stages.context import Stage
    from hierflow.store.records import ImageRecord, PartitionRecord


def subtree_assets(served: ServedSet) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """denoising_plan (its events come from the tree's op) and the three assets of a partition."""
    specs = [served.specs[asset] for asset in SUBTREE_ASSETS]

    @dg.multi_asset(
        name=served.names.subtree_op,
        specs=specs,
        partitions_def=specs[0].partitions_def,
        backfill_policy=dg.BackfillPolicy.multi_run(1),
        retry_policy=served.retry_policy,
        op_tags=served.spec.runs.tags.of("subtrees"),
        pool=served.pool,
    )
    def subtree(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        with run_stage(context, served) as stage:
            if not (context.has_partition_key or context.has_partition_key_range):
                raise dg.Failure(
                    f"no partition was chosen: choose one, or launch the job {served.names.plan_job} to make all",
                    allow_retries=False,
                )
            compiled = plan_of(context, stage)
            prompts = stage.store.prompts.load(compiled.document.prompts)
            selected = selected_prompts(context, compiled, prompts)
            made = {key: _made(context, stage, compiled, prompts, key, selected) for key in context.partition_keys}
        for asset in SUBTREE_ASSETS:
            yield from _told(context, served.key(asset), {key: each.assets[asset] for key, each in made.items()})
        images = [image for each in made.values() for image in each.images]
        failed = [image for image in images if image.error]
        if failed:
            raise dg.Failure(f"{len(failed)} of {len(images)} images failed: {failed[0].error}", allow_retries=False)

    return [served.specs["denoising_plan"], subtree]


class _Asset(NamedTuple):
    """What a run tells of one asset of one partition."""

    version: str
    metadata: Mapping[str, Any]


class _Partition(NamedTuple):
    """What a run has made of one partition: its assets by their short names, and the images of its record."""

    assets: Mapping[str, _Asset]
    images: "tuple[ImageRecord, ...]"


def _made(
    context: dg.AssetExecutionContext,
    stage: "Stage",
    compiled: "CompiledPlan",
    prompts: "PromptSet",
    key: str,
    selected: "Selected | None",
) -> _Partition:
    from hierflow.assets.displays.partition import partition_metadata
    from hierflow.stages.making.images import make_partition

    if key not in compiled.document.keys:
        context.log.info(f"partition {key} holds no prompts any more; nothing to do")
        return _Partition({asset: _Asset("empty", {}) for asset in SUBTREE_ASSETS}, ())
    record = make_partition(stage, compiled, prompts, key, selected)
    versions, metadata = partition_versions(record), partition_metadata(stage, prompts, record)
    return _Partition({asset: _Asset(versions[asset], metadata[asset]) for asset in versions}, record.images)


def _told(
    context: dg.AssetExecutionContext, asset: dg.AssetKey, partitions: Mapping[str, _Asset]
) -> Iterator[dg.MaterializeResult[Any]]:
    """One asset's result. Dagster gives all partitions of a run one version; several get events with their own."""
    if len(partitions) == 1:
        ((version, metadata),) = partitions.values()
        yield dg.MaterializeResult(asset, data_version=dg.DataVersion(version), metadata=metadata)
        return
    yield dg.MaterializeResult(asset)
    for key, (version, metadata) in partitions.items():
        context.log_event(materialization(asset, key, version, metadata))


def partition_versions(record: "PartitionRecord") -> dict[str, str]:
    """The data version of each of a partition's assets, from what they are made of."""
    states = sorted({image.state for image in record.images})
    files = [image.sha256 for image in record.images]
    return {
        "subtree_latents": digest(states),
        "images": digest(files),
        "quality_scores": digest(files, dict(record.scorers)),
    }
