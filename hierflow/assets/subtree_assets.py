"""The assets of one partition: latents, images and scores, from one op, so that a model loads once a process."""

import base64
from collections.abc import Iterator
from typing import Any

import dagster as dg

from hierflow.assets.names import SetNames
from hierflow.assets.run_stage import plan_of, stage_of
from hierflow.assets.served_set import ServedSet
from hierflow.hashing import digest
from hierflow.images import contact_sheet, decode_png
from hierflow.prompts import PromptSet
from hierflow.stages.context import Stage
from hierflow.stages.images import make_partition
from hierflow.store.records import PartitionRecord

ASSETS = ("subtree_latents", "images", "quality_scores")
_SHEET_IMAGES = 48
_SHEET_BYTES = 70_000  # base64 makes 93 KB of them, and the event log holds every sheet


def subtree_assets(served: ServedSet) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """denoising_plan (its events come from the tree's op) and the three assets of a partition."""
    names = SetNames(served.spec.name)
    partitions = dg.DynamicPartitionsDefinition(name=names.partitions)
    plan = served.asset_spec(
        "denoising_plan",
        deps=[names.key("embedding_tree")],
        partitions_def=partitions,
        kinds={"json"},
        description="The slice of the plan that one partition executes; planned by embedding_tree.",
    )
    latents = served.asset_spec(
        "subtree_latents",
        deps=[plan, names.key("shared_latents")],
        kinds={"pytorch", "safetensors"},
        description="Final latents of the partition's prompts, and the states where its subtrees split.",
    )
    images = served.asset_spec(
        "images", deps=[latents], kinds={"png"}, description="A PNG an image, with its provenance embedded."
    )
    scores = served.asset_spec(
        "quality_scores", deps=[images], kinds={"pytorch"}, description="How well each image matches its prompt."
    )

    @dg.multi_asset(
        name=f"{served.spec.name}_subtree",
        specs=[latents, images, scores],
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.multi_run(1),
    )
    def subtree(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        stage = stage_of(context, *served.parts)
        compiled, key = plan_of(context, stage), context.partition_key
        if key not in compiled.document.keys:
            context.log.info(f"partition {key} holds no prompts any more; nothing to do")
            for asset in ASSETS:
                yield dg.MaterializeResult(names.key(asset), data_version=dg.DataVersion("empty"))
            return
        prompts = stage.store.prompts.load(compiled.document.prompts)
        record = make_partition(stage, compiled, prompts, key)
        versions = partition_versions(record)
        for asset, metadata in _metadata(stage, prompts, record).items():
            yield dg.MaterializeResult(
                names.key(asset), data_version=dg.DataVersion(versions[asset]), metadata=metadata
            )
        failed = [image for image in record.images if image.error]
        if failed:
            raise dg.Failure(f"{len(failed)} of {len(record.images)} images failed: {failed[0].error}")

    return [plan, subtree]


def partition_versions(record: PartitionRecord) -> dict[str, str]:
    """The data version of each of a partition's assets, from what they are made of."""
    states = sorted({image.state for image in record.images})
    files = [image.sha256 for image in record.images]
    return {
        "subtree_latents": digest(states),
        "images": digest(files),
        "quality_scores": digest(files, dict(record.scorers)),
    }


def _metadata(stage: Stage, prompts: PromptSet, record: PartitionRecord) -> dict[str, dict[str, Any]]:
    made = [image for image in record.images if not image.error]
    scores = [value for image in made for value in image.scores.values()]
    standard = len({(image.text, image.image_index) for image in record.images}) * stage.spec.diffusion.steps
    return {
        "subtree_latents": {
            "evaluations_planned": record.planned,
            "evaluations_executed": record.executed,
            "evaluations_reused": max(record.planned - record.executed, 0),
            "evaluations_standard": standard,
            "saved": 1 - record.planned / standard,
        },
        "images": {
            "images": len(made),
            "failed": len(record.images) - len(made),
            "contact_sheet": dg.MetadataValue.md(_sheet(stage, made)),
            "folder": dg.MetadataValue.path(stage.store.files.url("images")),
        },
        "quality_scores": {"mean_clip_similarity": sum(scores) / len(scores)} if scores else {},
    }


def _sheet(stage: Stage, images: list[Any]) -> str:
    shown = images[:_SHEET_IMAGES]
    if not shown:
        return "no images"
    pixels = [decode_png(stage.store.files.read(image.path)) for image in shown]
    data = base64.b64encode(contact_sheet(pixels, limit_bytes=_SHEET_BYTES)).decode()
    return f"![{len(shown)} of {len(images)} images](data:image/jpeg;base64,{data})"
