"""The set's sensors: one continues a plan to its end, one watches the prompts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from hierflow.assets.events import observation
from hierflow.assets.liveness import active_runs, partitions_of
from hierflow.assets.names import INVOCATION_TAG, PLAN_TAG
from hierflow.assets.plan_assets import load_source, source_version
from hierflow.assets.run_stage import selection_tags
from hierflow.assets.served_set import ServedSet
from hierflow.errors import HierflowError

if TYPE_CHECKING:
    from hierflow.assets.continuation import NextStep

CONTINUE_SECONDS = 10
WATCH_SECONDS = 30


def continue_sensor(served: ServedSet, jobs: Sequence[Any]) -> dg.SensorDefinition:
    """Launches exactly the partitions that the current plan lacks, then the reports, quality_report last.

    Args:
        served: the set.
        jobs: the one of a partition, the one that finishes, and the one of quality.
    """
    names = served.names

    @dg.sensor(
        name=names.sensor,
        jobs=jobs,
        minimum_interval_seconds=CONTINUE_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Continues what the job {names.plan_job} has planned: exactly the partitions that are missing, "
        f"{served.spec.runs.max_concurrent} at once, then image_set, compute_audit and quality_report.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        from hierflow.assets.continuation import next_step

        try:
            step = next_step(context.instance, served)
        except HierflowError as error:
            return dg.SkipReason(str(error))
        requests = _requests(step, served)
        if not requests:
            return dg.SkipReason(step.reason)
        context.log.info(step.reason)
        return dg.SensorResult(run_requests=requests)

    return sensor


def _requests(step: "NextStep", served: ServedSet) -> list[dg.RunRequest]:
    names, tags = served.names, {PLAN_TAG: step.plan, INVOCATION_TAG: step.request}
    of_partition = tags | selection_tags(step.selection)
    requests = [
        dg.RunRequest(
            run_key=f"{step.request}/{step.plan[:16]}/{key}/{attempt}",
            job_name=names.subtree_job,
            partition_key=key,
            tags=of_partition,
        )
        for key, attempt in step.partitions
    ]
    if step.finish is not None:
        run_key = f"{step.request}/{step.plan[:16]}/finish/{step.finish}"
        requests.append(dg.RunRequest(run_key=run_key, job_name=names.finish_job, tags=tags))
    if step.assess is not None:
        run_key = f"{step.request}/{step.plan[:16]}/quality/{step.assess}"
        requests.append(dg.RunRequest(run_key=run_key, job_name=names.quality_job, tags=tags))
    return requests


def prompts_sensor(served: ServedSet) -> dg.SensorDefinition:
    """Observes the prompts' source; with `runs.on_change`, or switched on by hand, it starts the set's job."""
    names, runs = served.names, served.spec.runs
    is_on = runs.on_change or runs.automation

    @dg.sensor(
        name=names.prompts_sensor,
        job_name=names.plan_job,
        minimum_interval_seconds=WATCH_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING if is_on else dg.DefaultSensorStatus.STOPPED,
        description="Observes the prompts; when they have changed "
        + ("the assets' automation conditions act." if runs.automation else f"it launches {names.plan_job}."),
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        # The cursor holds the version last seen and the content hash of its prompts: an unchanged source is not read.
        before, _, content = (context.cursor or "").partition(" ")
        try:
            version = source_version(served)
            if version != before:
                content = load_source(served).content_hash
            requests = [] if runs.automation else _plan_request(context, served, content)
        except (HierflowError, OSError) as error:
            return dg.SkipReason(str(error))
        seen = [] if version == before else [observation(served.key("prompt_source"), version)]
        if not (seen or requests):
            return dg.SkipReason("the prompts are those of the current plan, or a run is at work on them")
        return dg.SensorResult(run_requests=requests, asset_events=seen, cursor=f"{version} {content}")

    return sensor


def _plan_request(context: dg.SensorEvaluationContext, served: ServedSet, content: str) -> list[dg.RunRequest]:
    """A run of the set's job if the current plan is of other prompts; asked for once a change."""
    plans = served.stage("sensor", "sensor").store.plans
    pointer, current = plans.pointer(), plans.current()
    if current is not None and current.document.prompts == content:
        return []
    active = active_runs(context.instance, served)
    if any(not partitions_of(context.instance, served, run) for run in active):
        return []
    before = pointer.request if pointer else "first"  # so that a change back, and back again, is asked for again
    return [dg.RunRequest(run_key=f"{content}/{before}", job_name=served.names.plan_job)]
