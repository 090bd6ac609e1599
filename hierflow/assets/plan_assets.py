"""The assets of the plan: prompts, embeddings, tree, and the steps above the partition cut."""

import warnings
from typing import Any

import dagster as dg

from hierflow.assets.events import materialization
from hierflow.assets.names import SetNames
from hierflow.assets.run_stage import plan_of, stage_of
from hierflow.assets.served_set import ServedSet
from hierflow.hashing import bytes_digest, digest
from hierflow.prompts import load_prompts
from hierflow.stages.advice import advice
from hierflow.stages.embeddings import embed
from hierflow.stages.latents import denoise_trunk
from hierflow.stages.planning import adopt, make_plan
from hierflow.stages.todo import todo

_PREVIEW = 8


def prompt_source(served: ServedSet) -> dg.SourceAsset:
    """What the user edits: a file, a table, or the document itself."""
    names, spec = SetNames(served.spec.name), served.spec

    def observe() -> dg.DataVersion:
        path = spec.prompts.file or spec.prompts.table
        if path:
            return dg.DataVersion(bytes_digest((served.base / path).read_bytes()))
        return dg.DataVersion(digest(spec.prompts.model_dump()))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # no other kind of asset is observed rather than made
        return dg.observable_source_asset(
            key=names.key("prompt_source"),
            group_name=spec.name,
            description="The prompts as the user keeps them: a file, a table, or the document's text or template.",
        )(observe)


def plan_assets(served: ServedSet) -> list[dg.AssetsDefinition]:
    """prompt_set, prompt_embeddings, embedding_tree and shared_latents."""
    return [_prompt_set(served), _prompt_embeddings(served), _embedding_tree(served), _shared_latents(served)]


def _prompt_set(served: ServedSet) -> dg.AssetsDefinition:
    names = SetNames(served.spec.name)

    @dg.asset(
        **served.common("prompt_set"),
        deps=[names.key("prompt_source")],
        kinds={"parquet"},
        description="The expanded prompts: one row a prompt, an axis a column. Equal texts are generated once.",
    )
    def prompt_set(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        stage = stage_of(context, *served.parts)
        prompts = load_prompts(stage.spec.prompts, stage.base)
        stage.store.claim()
        stage.store.prompts.save(prompts)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(prompts.content_hash),
            metadata={
                "dagster/row_count": len(prompts),
                "distinct_texts": len(prompts.distinct),
                "dagster/column_schema": dg.TableSchema(
                    columns=[dg.TableColumn(name, "string") for name in ("prompt_id", "prompt", *prompts.columns)]
                ),
                "preview": dg.MetadataValue.md("\n".join(f"- {_inert(text)}" for text in prompts.texts[:_PREVIEW])),
            },
        )

    return prompt_set


def _prompt_embeddings(served: ServedSet) -> dg.AssetsDefinition:
    names = SetNames(served.spec.name)

    @dg.asset(
        **served.common("prompt_embeddings"),
        deps=[names.key("prompt_set")],
        kinds={"pytorch", "safetensors"},
        description="What the text encoders and the prior make of every distinct prompt, kept by content.",
    )
    def prompt_embeddings(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        stage = stage_of(context, *served.parts)
        prompts = stage.store.prompts.current()
        for warning in advice(stage, prompts):
            context.log.warning(warning)
        embeddings = embed(stage, prompts)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(digest(stage.adapter.encoder_fingerprint, list(embeddings.hashes))),
            metadata={
                "prompts": len(embeddings.texts),
                "computed": embeddings.computed,
                "reused": len(embeddings.texts) - embeddings.computed,
            },
        )

    return prompt_embeddings


def _embedding_tree(served: ServedSet) -> dg.AssetsDefinition:
    names = SetNames(served.spec.name)

    @dg.asset(
        **served.common("embedding_tree"),
        deps=[names.key("prompt_embeddings")],
        kinds={"scipy"},
        description="The tree that similar prompts share their steps along, and the plan that it cuts into.",
    )
    def embedding_tree(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        stage = stage_of(context, *served.parts)
        prompts = stage.store.prompts.current()
        compiled = make_plan(stage, prompts, embed(stage, prompts))
        adopt(stage, compiled)
        document = compiled.document
        context.instance.add_dynamic_partitions(names.partitions, document.keys)
        for partition in document.partitions:
            metadata = {"prompts": len(compiled.texts_of(partition.key)), "subtrees": len(partition.subtrees)}
            event = materialization(names.key("denoising_plan"), partition.key, partition.slice, metadata)
            context.log_event(event)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(document.id),
            metadata={
                "plan": document.id,
                "prompts": len(compiled.planted.texts),
                "partitions": len(document.partitions),
                "evaluations_planned": document.planned,
                "evaluations_standard": document.standard,
                "saved": document.saved,
                "frontier_sizes": [int(size) for size in compiled.plan.frontier_sizes],
            },
        )

    return embedding_tree


def _shared_latents(served: ServedSet) -> dg.AssetsDefinition:
    names = SetNames(served.spec.name)

    @dg.asset(
        **served.common("shared_latents"),
        deps=[names.key("embedding_tree")],
        kinds={"pytorch", "safetensors"},
        description="The steps above the partition cut (the trunk). Editing prompts does not move its version.",
    )
    def shared_latents(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        stage = stage_of(context, *served.parts)
        compiled = plan_of(context, stage)
        trunk = compiled.segments_of(None)
        executed = denoise_trunk(stage, compiled, todo(stage.store, compiled, give_up=False))
        steps = compiled.plan.last[trunk] - compiled.plan.first[trunk] + 1
        document, linkage = compiled.document, compiled.planted.tree.linkage
        settings = digest(
            document.sampling.root(0), document.encoder, document.tau, linkage, document.images_per_prompt
        )
        return dg.MaterializeResult(
            data_version=dg.DataVersion(settings),
            metadata={
                "nodes": len(trunk),
                "evaluations_planned": int(steps.sum()) * compiled.document.images_per_prompt,
                "evaluations_executed": executed,
            },
        )

    return shared_latents


def _inert(text: str) -> str:
    """Prompt text that Markdown shows as it stands."""
    return "".join(f"\\{mark}" if mark in "\\`*_{}[]()#+-.!|<>&" else mark for mark in text[:200])
