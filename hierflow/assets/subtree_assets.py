"""The assets of one partition: latents, images and scores, from one op, so that a model loads once a process.

What the op does is imported as it runs: a code location that only lists its assets stays light.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg

from hierflow.assets.graph import SUBTREE_ASSETS
from hierflow.assets.run_stage import plan_of, run_stage
from hierflow.assets.served_set import ServedSet
from hierflow.hashing import digest

if TYPE_CHECKING:
    from hierflow.store.records import PartitionRecord


def subtree_assets(served: ServedSet) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """denoising_plan (its events come from the tree's op) and the three assets of a partition."""
    specs = [served.specs[asset] for asset in SUBTREE_ASSETS]

    @dg.multi_asset(
        name=served.names.subtree_op,
        specs=specs,
        partitions_def=specs[0].partitions_def,
        backfill_policy=dg.BackfillPolicy.multi_run(1),
        retry_policy=served.retry_policy,
    )
    def subtree(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        from hierflow.assets.displays.partition import partition_metadata
        from hierflow.stages.making.images import make_partition

        with run_stage(context, served) as stage:
            if not context.has_partition_key:
                raise dg.Failure(
                    f"no partition was chosen: choose one, or launch the job {served.names.plan_job} to make all",
                    allow_retries=False,
                )
            compiled, key = plan_of(context, stage), context.partition_key
            if key not in compiled.document.keys:
                context.log.info(f"partition {key} holds no prompts any more; nothing to do")
                for asset in SUBTREE_ASSETS:
                    yield dg.MaterializeResult(served.key(asset), data_version=dg.DataVersion("empty"))
                return
            prompts = stage.store.prompts.load(compiled.document.prompts)
            record = make_partition(stage, compiled, prompts, key)
        versions, metadata = partition_versions(record), partition_metadata(stage, prompts, record)
        for asset in SUBTREE_ASSETS:
            yield dg.MaterializeResult(
                served.key(asset), data_version=dg.DataVersion(versions[asset]), metadata=metadata[asset]
            )
        failed = [image for image in record.images if image.error]
        if failed:
            raise dg.Failure(
                f"{len(failed)} of {len(record.images)} images failed: {failed[0].error}", allow_retries=False
            )

    return [served.specs["denoising_plan"], subtree]


def partition_versions(record: "PartitionRecord") -> dict[str, str]:
    """The data version of each of a partition's assets, from what they are made of."""
    states = sorted({image.state for image in record.images})
    files = [image.sha256 for image in record.images]
    return {
        "subtree_latents": digest(states),
        "images": digest(files),
        "quality_scores": digest(files, dict(record.scorers)),
    }
