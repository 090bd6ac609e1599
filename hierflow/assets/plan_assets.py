"""The assets of the plan: prompts, embeddings, tree, and the steps above the partition cut.

What the ops do is imported as they run: a code location that only lists its assets stays light.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dagster as dg

from hierflow.assets.events import materialization
from hierflow.assets.run_stage import (
    check_document,
    keep_plan,
    keep_prompts,
    plan_of,
    prompts_of,
    run_stage,
    selected_prompts,
)
from hierflow.assets.served_set import ServedSet
from hierflow.errors import InputError
from hierflow.hashing import digest
from hierflow.spec import SharingSpec

if TYPE_CHECKING:
    from hierflow.prompts import PromptSet
    from hierflow.stages.planning.tree_comparison import TreeComparison


def prompt_source(served: ServedSet) -> dg.AssetsDefinition:
    """What the user edits: a file, a table, or the document itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # no other kind of asset is observed rather than made

        @dg.multi_observable_source_asset(
            name=served.names.op("prompt_source"), specs=[served.specs["prompt_source"]]
        )
        def observe() -> Iterator[dg.ObserveResult]:
            yield dg.ObserveResult(
                asset_key=served.key("prompt_source"), data_version=dg.DataVersion(source_version(served))
            )

    return observe


def source_version(served: ServedSet) -> str:
    """A hash of the prompts as their owner keeps them: of the document's section, and of the file or table.

    Raises:
        InputError: the file or table cannot be read.
        StorageError: the server that holds it does not answer.
    """
    from hierflow.prompts.text_files import find_file

    source = served.spec.prompts
    field, path = ("prompts.file", source.file) if source.file else ("prompts.table", source.table)
    with _makers_named(served):
        return digest(source.model_dump(), find_file(path, served.base, field).version() if path else None)


def load_source(served: ServedSet) -> "PromptSet":
    """The prompts as they are now.

    Raises:
        InputError: they are wrong, or the assets that make them have not been materialized yet.
    """
    from hierflow.prompts import load_prompts

    with _makers_named(served):
        return load_prompts(served.spec.prompts, served.base)


@contextmanager
def _makers_named(served: ServedSet) -> Iterator[None]:
    """Says of a file that is missing which assets make it."""
    from hierflow.prompts.text_files import MissingFileError

    try:
        yield
    except MissingFileError as error:
        if not served.spec.assets.deps:
            raise
        raise InputError(
            error.problem.replace("does not exist", "does not exist yet"),
            field=error.field,
            value=error.value,
            remedy=f"materialize what makes it: {', '.join(served.spec.assets.deps)}",
        ) from error


def plan_assets(served: ServedSet) -> list[dg.AssetsDefinition]:
    """prompt_set, prompt_embeddings, embedding_tree and shared_latents."""
    return [_prompt_set(served), _prompt_embeddings(served), _embedding_tree(served), _shared_latents(served)]


_ENCODING_CHECKS = {
    "encoded": "Every prompt can be encoded; one that cannot is left out, and tried again by the next run."
}
_TREE_CHECKS = {
    "regret": "How much more evaluations the pinned tree plans than one founded today would: planned / fresh - 1.",
    "drift": "How much farther prompts are from what they share than on a tree founded today.",
}


class TreeConfig(dg.Config):
    """What a run may ask of embedding_tree.

    Attributes:
        rebuild: `all` to found the tree anew, or the key of a partition to cluster anew; empty to keep what has run.
        limit: make only so many prompts, spread over the tree.
        only: make only the prompts with these ids.
    """

    rebuild: str = ""
    limit: int | None = None
    only: list[str] | None = None


def _asset(
    served: ServedSet, asset: str, checks: Mapping[str, str] | None = None, *, uses_device: bool = True
) -> Any:
    """Decorates the op that makes one asset."""
    return dg.multi_asset(
        name=served.names.op(asset),
        specs=[served.specs[asset]],
        check_specs=[
            dg.AssetCheckSpec(name, asset=served.key(asset), description=about)
            for name, about in (checks or {}).items()
        ],
        retry_policy=served.retry_policy,
        op_tags=served.spec.runs.tags.of("plan"),
        pool=served.pool if uses_device else None,
    )


def _prompt_set(served: ServedSet) -> dg.AssetsDefinition:
    @_asset(served, "prompt_set", uses_device=False)
    def prompt_set(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        from hierflow.assets.displays.values import text_columns
        from hierflow.assets.tables import prompt_table
        from hierflow.stages.embedding.advice import repetitions

        with run_stage(context, served) as stage:
            check_document(context, served)
            prompts = load_source(served)
            for warning in repetitions(prompts):
                context.log.warning(warning)
            stage.store.claim()
            stage.store.prompts.save(prompts)
            keep_prompts(context, prompts)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(prompts.content_hash),
            metadata={
                "dagster/row_count": len(prompts),
                "distinct_texts": len(prompts.distinct),
                "dagster/column_schema": text_columns("prompt_id", "prompt", *prompts.columns),
                "prompts": prompt_table(prompts, range(len(prompts))),
            },
        )

    return prompt_set


def _prompt_embeddings(served: ServedSet) -> dg.AssetsDefinition:
    @_asset(served, "prompt_embeddings", checks=_ENCODING_CHECKS)
    def prompt_embeddings(context: dg.AssetExecutionContext) -> Iterator[Any]:
        from hierflow.assets.displays.prompts import refusals
        from hierflow.stages.embedding.advice import advice
        from hierflow.stages.embedding.embeddings import clustering, embed
        from hierflow.stages.embedding.left_out import told
        from hierflow.stages.overview.preflight import check_memory

        with run_stage(context, served) as stage:
            check_document(context, served)
            prompts = prompts_of(context, stage)
            check_memory(stage, prompts)
            for warning in advice(stage, prompts):
                context.log.warning(warning)
            embeddings = embed(stage, prompts)
            encoder, by = stage.adapter.encoder_fingerprint, clustering(stage).fingerprint
            for problem in told(embeddings.left_out):
                context.log.error(problem)
        yield dg.MaterializeResult(
            data_version=dg.DataVersion(digest(encoder, by, list(embeddings.hashes))),
            metadata={
                "dagster/row_count": len(embeddings.texts),
                "computed": embeddings.computed,
                "reused": len(embeddings.texts) - embeddings.computed,
                "dimensions": embeddings.vectors.shape[1],
                "left_out": len(embeddings.left_out),
            },
        )
        yield dg.AssetCheckResult(
            check_name="encoded", passed=not embeddings.left_out, metadata=refusals(prompts, embeddings.left_out)
        )

    return prompt_embeddings


def _embedding_tree(served: ServedSet) -> dg.AssetsDefinition:
    has_pilot = served.spec.sharing.quality is not None

    @_asset(served, "embedding_tree", checks=_TREE_CHECKS, uses_device=has_pilot)
    def embedding_tree(context: dg.AssetExecutionContext, config: TreeConfig) -> Iterator[Any]:
        from hierflow.assets.displays.tree import tree_metadata
        from hierflow.plan.selection import PromptSelection
        from hierflow.stages.embedding.embeddings import embed
        from hierflow.stages.planning.make_plan import adopt, make_plan
        from hierflow.stages.planning.tree_comparison import compare_to_fresh

        with run_stage(context, served) as stage:
            check_document(context, served)
            prompts = prompts_of(context, stage)
            selection = PromptSelection(config.limit, tuple(config.only or ()))
            selection.check(prompts, config.rebuild)
            embeddings = embed(stage, prompts)
            compiled = make_plan(stage, prompts, embeddings, config.rebuild)
            comparison = compare_to_fresh(stage, compiled, embeddings)
            # Keys first: a sensor that sees the plan finds its partitions. And the tag, for the steps that follow.
            context.instance.add_dynamic_partitions(served.names.partitions, compiled.document.keys)
            keep_plan(context, compiled, selection)
            adopt(stage, compiled, selection)
        for partition in compiled.document.partitions:
            metadata = {"prompts": len(compiled.texts_of(partition.key)), "subtrees": len(partition.subtrees)}
            event = materialization(served.key("denoising_plan"), partition.key, partition.slice, metadata)
            context.log_event(event)
        yield dg.MaterializeResult(
            data_version=dg.DataVersion(compiled.document.id),
            metadata=tree_metadata(stage, compiled, prompts, comparison),
        )
        yield from _tree_checks(stage.spec.sharing, comparison)

    return embedding_tree


def _tree_checks(sharing: SharingSpec, comparison: "TreeComparison | None") -> Iterator[dg.AssetCheckResult]:
    """Warnings that a pinned tree has grown too far from the one that would be founded today."""
    from hierflow.tree.memory import NO_ROOM

    for name, limit in (("regret", sharing.max_regret), ("drift", sharing.max_drift)):
        value = comparison.as_json()[name] if comparison else None
        yield dg.AssetCheckResult(
            check_name=name,
            passed=value is None or bool(value <= limit),
            severity=dg.AssetCheckSeverity.WARN,
            metadata={**({} if value is None else {name: float(value)}), "limit": float(limit)},
            description=NO_ROOM if value is None else None,
        )


def _shared_latents(served: ServedSet) -> dg.AssetsDefinition:
    @_asset(served, "shared_latents")
    def shared_latents(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        from hierflow.stages.making.latents import denoise_trunk
        from hierflow.stages.making.todo import todo

        with run_stage(context, served) as stage:
            compiled = plan_of(context, stage)
            prompts = stage.store.prompts.load(compiled.document.prompts)
            selected = selected_prompts(context, compiled, prompts)
            keys = todo(stage.store, compiled, selected=selected)
            executed = denoise_trunk(stage, compiled, prompts, keys, selected)
        trunk, document = compiled.segments_of(None), compiled.document
        settings = digest(
            document.sampling.root(0),
            document.encoder,
            document.tau,
            compiled.planted.tree.linkage,
            document.images_per_prompt,
        )
        return dg.MaterializeResult(
            data_version=dg.DataVersion(settings),
            metadata={
                "nodes": len(trunk),
                "evaluations_planned": compiled.evaluations_of(None),
                "evaluations_executed": executed,
            },
        )

    return shared_latents
