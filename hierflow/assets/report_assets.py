"""The assets at the end: the image set (manifest and gallery) and the audit.

What the ops do is imported as they run: a code location that only lists its assets stays light.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg

from hierflow.assets.names import INVOCATION_TAG
from hierflow.assets.run_stage import no_plan, run_stage
from hierflow.assets.served_set import ServedSet
from hierflow.hashing import digest

if TYPE_CHECKING:
    from hierflow.audit.account import Audit
    from hierflow.plan.compiled import CompiledPlan
    from hierflow.stages.context import Stage


def report_assets(served: ServedSet) -> list[dg.AssetsDefinition]:
    """image_set and compute_audit, with their checks."""
    return [_image_set(served), _compute_audit(served)]


def _image_set(served: ServedSet) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=served.names.op("image_set"),
        specs=[served.specs["image_set"]],
        check_specs=[
            dg.AssetCheckSpec(
                "complete",
                asset=served.key("image_set"),
                description="Every prompt has the image that the plan asks for.",
            )
        ],
        retry_policy=served.retry_policy,
        op_tags=served.spec.runs.tags.of("finish"),
    )
    def image_set(context: dg.AssetExecutionContext) -> Iterator[Any]:
        from hierflow.assets.displays.image_set import image_set_metadata
        from hierflow.stages.keeping.retention import retain
        from hierflow.stages.keeping.space import space_of
        from hierflow.stages.overview.partition_states import partition_states
        from hierflow.stages.reports.assembly import ASSEMBLED, QUALITY_PAGE, mark, state_of_records
        from hierflow.stages.reports.image_set import assemble

        with run_stage(context, served) as stage:
            compiled = current_plan(stage)
            state = state_of_records(compiled, stage.store.records_of(compiled))
            prompts, entries = stage.store.prompts.load(compiled.document.prompts), stage.store.ledger.entries()
            made = assemble(stage, compiled, prompts, QUALITY_PAGE, entries)
            mark(stage.store, ASSEMBLED, state)
            if made.is_executed:
                retain(stage, compiled)
            states = partition_states(stage, compiled, made.rows, entries)
            space = space_of(stage, len(compiled.leaf_of))
        yield dg.MaterializeResult(
            data_version=dg.DataVersion(digest([(r.prompt_id, r.image_index, r.image_sha256) for r in made.rows])),
            metadata=image_set_metadata(stage, made, states, space),
        )
        yield dg.AssetCheckResult(
            passed=made.complete,
            check_name="complete",
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"missing": len(made.rows) - made.current},
        )

    return image_set


def _compute_audit(served: ServedSet) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=served.names.op("compute_audit"),
        specs=[served.specs["compute_audit"]],
        check_specs=[
            dg.AssetCheckSpec(
                "books_balance",
                asset=served.key("compute_audit"),
                description="What a hook on the network counted is what plan and ledger say was to be done.",
            )
        ],
        retry_policy=served.retry_policy,
        op_tags=served.spec.runs.tags.of("finish"),
    )
    def compute_audit(context: dg.AssetExecutionContext) -> Iterator[Any]:
        from hierflow.assets.displays.account import account_metadata
        from hierflow.stages.reports.auditing import write_audit
        from hierflow.stages.reports.image_set import assembled

        with run_stage(context, served) as stage:
            compiled = current_plan(stage)
            prompts, entries = stage.store.prompts.load(compiled.document.prompts), stage.store.ledger.entries()
            rows = assembled(stage, compiled, prompts, entries).rows
            this_run, all_runs = write_audit(stage, compiled, rows, entries)
        account = this_run if INVOCATION_TAG in context.run.tags else all_runs
        yield dg.MaterializeResult(
            data_version=dg.DataVersion(audit_version(account, compiled)),
            metadata=account_metadata(stage, rows, account, all_runs),
        )
        yield dg.AssetCheckResult(
            passed=account.books.balanced,
            check_name="books_balance",
            metadata={"problems": "; ".join(account.books.problems) or "none"},
        )

    return compute_audit


def audit_version(account: "Audit", compiled: "CompiledPlan") -> str:
    """The data version of compute_audit."""
    return digest(account.as_json()["books"], compiled.document.id)


def current_plan(stage: "Stage") -> "CompiledPlan":
    """The plan that is current now, whichever this run was launched for: reports are of the set as it stands.

    Raises:
        Failure: there is none yet.
    """
    compiled = stage.store.plans.current()
    if compiled is None:
        raise no_plan(stage.spec.name)
    return compiled
