"""The assets at the end: the image set (manifest and gallery) and the audit."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from hierflow.assets.names import INVOCATION_TAG, SetNames
from hierflow.assets.run_stage import plan_of, stage_of
from hierflow.assets.served_set import ServedSet
from hierflow.hashing import digest
from hierflow.stages.auditing import AUDIT, write_audit
from hierflow.stages.image_set import assemble, assembled

_BOOKS = (
    *("standard", "planned", "executed", "reused", "replayed", "redone", "measured"),
    *("outstanding", "unaccounted"),
)


def report_assets(served: ServedSet) -> list[dg.AssetsDefinition]:
    """image_set and compute_audit, with their checks."""
    names, common = SetNames(served.spec.name), served.common

    @dg.asset(
        **common("image_set"),
        deps=[names.key("images"), names.key("quality_scores")],
        kinds={"parquet", "html"},
        check_specs=[dg.AssetCheckSpec("complete", asset=names.key("image_set"))],
        description="The manifest (a row an image) and the gallery. Follows even if partitions failed.",
    )
    def image_set(context: dg.AssetExecutionContext) -> Iterator[Any]:
        stage = stage_of(context, *served.parts)
        compiled = plan_of(context, stage)
        made = assemble(stage, compiled, stage.store.prompts.load(compiled.document.prompts))
        yield dg.MaterializeResult(
            data_version=dg.DataVersion(digest([(r.prompt_id, r.image_index, r.image_sha256) for r in made.rows])),
            metadata={
                "dagster/row_count": len(made.rows),
                "images": made.current,
                "complete": made.complete,
                "manifest": dg.MetadataValue.path(made.manifest),
                "gallery": dg.MetadataValue.path(made.gallery),
            },
            check_results=[
                dg.AssetCheckResult(
                    passed=made.complete,
                    check_name="complete",
                    severity=dg.AssetCheckSeverity.WARN,
                    metadata={"missing": len(made.rows) - made.current},
                )
            ],
        )

    @dg.asset(
        **common("compute_audit"),
        deps=[names.key("image_set"), names.key("subtree_latents"), names.key("shared_latents")],
        kinds={"json"},
        check_specs=[dg.AssetCheckSpec("books_balance", asset=names.key("compute_audit"))],
        description="What the set cost and what sharing saved, counted by a hook on the network.",
    )
    def compute_audit(context: dg.AssetExecutionContext) -> Iterator[Any]:
        stage = stage_of(context, *served.parts)
        compiled = plan_of(context, stage)
        rows = assembled(stage, compiled, stage.store.prompts.load(compiled.document.prompts)).rows
        this_run, all_runs = write_audit(stage, compiled, rows)
        account = this_run if INVOCATION_TAG in context.run.tags else all_runs
        books = account.books
        yield dg.MaterializeResult(
            data_version=dg.DataVersion(digest(account.as_json()["books"], compiled.document.id)),
            metadata={
                **{name: getattr(books, name) for name in _BOOKS},
                "saved": books.saved,
                "executed_ever": account.executed_ever,
                "padding_share": account.padding_share,
                "seconds": sum(account.seconds.values()) - account.seconds.get("startup", 0.0),
                "audit": dg.MetadataValue.path(stage.store.files.url(AUDIT)),
            },
            check_results=[
                dg.AssetCheckResult(
                    passed=books.balanced,
                    check_name="books_balance",
                    metadata={"problems": "; ".join(books.problems) or "none"},
                )
            ],
        )

    return [image_set, compute_audit]
