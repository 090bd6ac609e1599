"""The quality report: baselines, comparisons, and the checks that may hold what is downstream back.

What the op does is imported as it runs: a code location that only lists its assets stays light.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg

from hierflow.assets.events import materialization
from hierflow.assets.names import SCORING_TAG
from hierflow.assets.report_assets import audit_version, current_plan
from hierflow.assets.run_stage import run_stage
from hierflow.assets.served_set import ServedSet
from hierflow.errors import RunError
from hierflow.hashing import digest

if TYPE_CHECKING:
    from hierflow.scoring.quality import Quality

_CHECKS = {
    "quality_floor": "Shared images win often enough against standard ones (scoring.quality_floor).",
    "near_duplicates": "No two images of different prompts look alike.",
    "blank": "Every image shows something.",
}
_BLOCKING = "quality_floor"


def quality_asset(served: ServedSet) -> dg.AssetsDefinition:
    """quality_report, with its checks.

    That one of them is blocking holds back what is downstream only within a run, and the report has a run of its own:
    other runs heed it where their automation condition asks for `all_deps_blocking_checks_passed()`.
    """

    @dg.multi_asset(
        name=served.names.op("quality_report"),
        specs=[served.specs["quality_report"]],
        check_specs=[
            dg.AssetCheckSpec(name, asset=served.key("quality_report"), description=about, blocking=name == _BLOCKING)
            for name, about in _CHECKS.items()
        ],
        retry_policy=served.retry_policy,
        op_tags=served.spec.runs.tags.of("quality"),
        pool=served.pool,
    )
    def quality_report(context: dg.AssetExecutionContext) -> Iterator[Any]:
        from hierflow.assets.displays.account import account_metadata
        from hierflow.assets.displays.quality import quality_metadata
        from hierflow.stages.quality.assessment import assess
        from hierflow.stages.reports.assembly import ASSESSED, mark, state_of_quality
        from hierflow.stages.reports.auditing import write_audit
        from hierflow.stages.reports.image_set import assembled

        with run_stage(context, served) as stage:
            _check_scoring(context, served)
            compiled = current_plan(stage)
            state = state_of_quality(compiled, stage.store.records_of(compiled), stage.spec.scoring)
            prompts = stage.store.prompts.load(compiled.document.prompts)
            rows = assembled(stage, compiled, prompts).rows
            quality = assess(stage, compiled, prompts, rows)
            this_run, all_runs = write_audit(stage, compiled, rows)  # with what has just been measured
            mark(stage.store, ASSESSED, state)
        if this_run.books.measured:
            metadata = account_metadata(stage, rows, this_run, all_runs)
            version = audit_version(all_runs, compiled)
            context.log_event(materialization(served.key("compute_audit"), None, version, metadata))
        yield dg.MaterializeResult(
            data_version=dg.DataVersion(digest(quality.as_json())), metadata=quality_metadata(stage, quality)
        )
        yield from _checks(quality)

    return quality_report


def _check_scoring(context: dg.AssetExecutionContext, served: ServedSet) -> None:
    """Refuse a report for another `scoring` than the sensor's, which would request its own again and again.

    Raises:
        RunError: the sections differ.
    """
    if context.run.tags.get(SCORING_TAG, served.scoring_digest) != served.scoring_digest:
        raise RunError(
            f"this run was requested for another `scoring` than this process has loaded for {served.spec.name}; "
            f"reload the code location, restart workers, and launch the job {served.names.plan_job} again"
        )


def _checks(quality: "Quality") -> Iterator[dg.AssetCheckResult]:
    verdict = quality.verdict
    blocked = verdict is not None and verdict.state == "blocked"
    yield dg.AssetCheckResult(
        check_name="quality_floor",
        passed=verdict is None or verdict.state == "passed",
        severity=dg.AssetCheckSeverity.ERROR if blocked else dg.AssetCheckSeverity.WARN,
        description=verdict.reason if verdict else "the document sets no scoring.quality_floor",
        metadata={"more_pairs": verdict.more_pairs} if verdict and verdict.more_pairs is not None else {},
    )
    for name, found in (("near_duplicates", quality.alike), ("blank", len(quality.blank))):
        yield dg.AssetCheckResult(
            check_name=name, passed=not found, severity=dg.AssetCheckSeverity.WARN, metadata={"found": found}
        )
