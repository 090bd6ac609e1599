"""What is next for a set, looked up in its store and in Dagster's runs: nothing here is remembered.

So it does not matter which run ended, which message was lost or when the daemon was restarted. A *request* is the
run of the set's job that last made a plan current, or asked for the current one again; whatever follows from it
carries its id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import dagster as dg

from hierflow.assets.adoption import adopt_stored
from hierflow.assets.events import RUNNING, backfill_of
from hierflow.assets.liveness import active_runs, is_command_alive, partitions_of
from hierflow.assets.names import ACCELERATOR_TAG, INVOCATION_TAG, PROCESS_TAG
from hierflow.assets.served_set import ServedSet
from hierflow.plan.compiled import CompiledPlan
from hierflow.plan.selection import ALL_PROMPTS, PromptSelection
from hierflow.stages.making.todo import ATTEMPTS, todo
from hierflow.stages.reports.assembly import ASSEMBLED, is_assessed, is_marked, state_of_records
from hierflow.store import SetStore
from hierflow.store.plans import Pointer


@dataclass(frozen=True)
class NextStep:
    """What to launch now.

    Attributes:
        reason: a sentence for whoever reads the sensor's ticks.
        request: whose work is continued.
        plan: id of the plan.
        selection: the prompts that the request makes.
        partitions: keys of partitions to launch, and which attempt each will be, counted from 1.
        finish: whether to launch the reports, and which attempt that will be; None if not now.
        assess: the same of the quality report.
    """

    reason: str
    request: str = ""
    plan: str = ""
    partitions: tuple[tuple[str, int], ...] = ()
    finish: int | None = None
    assess: int | None = None
    selection: PromptSelection = ALL_PROMPTS


def next_step(instance: dg.DagsterInstance, served: ServedSet) -> NextStep:
    """What the current plan of a set still needs that can be launched at this moment.

    Partitions that the store holds and the instance has never heard of are reported to it on the way.

    Raises:
        InputError: the store belongs to another document, or is of another format.
        LostPlanError: what is current cannot be read.
    """
    store, names = served.stage("sensor", "sensor").store, served.names
    store.check_owner()
    pointer, compiled = store.plans.pointer(), store.plans.current()
    if pointer is None or compiled is None:
        return NextStep(f"there is no plan yet: launch the job {names.plan_job}")
    active = active_runs(instance, served)
    if planning := next((run for run in active if not partitions_of(instance, served, run)), None):
        return NextStep(f"run {planning.run_id[:8]} ({planning.job_name}) is at work")
    if backfill := backfill_of(instance, served.keys):
        return NextStep(f"backfill {backfill} is at work on the set")
    records = store.records_of(compiled)
    adopt_stored(instance, served, compiled, records)
    history = _History.of(instance, served, store, pointer)
    if history.command_at_work:
        return NextStep("`hierflow run` is at work on the set")
    at_work = {key for run in active for key in partitions_of(instance, served, run)}
    selected = None
    if not pointer.selection.is_all:
        selected = pointer.selection.resolve(compiled, store.prompts.load(compiled.document.prompts))
    left = todo(store, compiled, records, active=at_work, selected=selected)
    waiting = [key for key in left if history.may_try(key)]
    if waiting:
        chosen = tuple((key, history.tries[key] + 1) for key in waiting[: _free(instance, served, active)])
        reason = f"partitions to be made: {len(left)} of {len(compiled.document.keys)}"
        if not chosen:
            reason += f"; {_held(served)}"
        return NextStep(reason, pointer.request, compiled.document.id, chosen, selection=pointer.selection)
    if at_work:
        return NextStep(f"partitions at work: {len(at_work)}; none waits")
    if left and not history.is_ours:  # a request that this instance does not continue, or an empty set
        return NextStep(_at_rest(compiled, left, history, pointer, names.plan_job))
    if not (is_marked(store, ASSEMBLED, state_of_records(compiled, records)) and history.is_finished):
        if history.finishes.failed >= ATTEMPTS:
            return NextStep(_given_up(names.finish_job, names.plan_job))
        attempt = history.finishes.ended + 1
        return NextStep("manifest, gallery and audit follow", pointer.request, compiled.document.id, finish=attempt)
    if selected is not None and todo(store, compiled, records):
        made = f"the prompts that were asked for are made: {sum(map(len, selected.values()))}"
        rest = f"{made}; launch {names.plan_job} without a limit to make the others"
        return NextStep(_at_rest(compiled, left, history, pointer, names.plan_job) if left else rest)
    if not is_assessed(store, compiled, served.spec.scoring, records):
        if history.assessments.failed >= ATTEMPTS:
            return NextStep(_given_up(names.quality_job, names.plan_job))
        if not _free(instance, served, active):
            return NextStep(f"the quality report waits; {_held(served)}", pointer.request, compiled.document.id)
        attempt = history.assessments.ended + 1
        return NextStep("the quality report follows", pointer.request, compiled.document.id, assess=attempt)
    return NextStep(_at_rest(compiled, left, history, pointer, names.plan_job))


def _at_rest(compiled: CompiledPlan, left: Sequence[str], history: _History, pointer: Pointer, job: str) -> str:
    total = len(compiled.document.keys)
    if not left:
        return f"everything is made: {total} partitions, image_set, compute_audit and quality_report"
    counts = Counter(_OUTCOMES.get(history.last_status.get(key), "not run here") for key in left)
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    request, why = pointer.request[:8], ""
    if not history.is_known:
        why = f"this Dagster instance has no run of their request {request} (deleted, or made elsewhere); "
    elif not history.is_ours:
        why = f"their request {request} is a `hierflow run` that has ended, or a run that was deleted; "
    return f"partitions not made: {len(left)} of {total} ({outcomes}), such as {left[0]}; {why}launch the job {job}"


def _given_up(job: str, plan_job: str) -> str:
    return f"the job {job} ended {ATTEMPTS} times without success; launch the job {plan_job}"


_OUTCOMES: dict[dg.DagsterRunStatus | None, str] = {
    dg.DagsterRunStatus.FAILURE: "failed",
    dg.DagsterRunStatus.CANCELED: "cancelled",
    dg.DagsterRunStatus.SUCCESS: "made and lost",
}
"""What became of a partition, by the status of its last run."""


class _Ended(NamedTuple):
    """How many runs of a job have ended, and how many of these have failed."""

    ended: int
    failed: int

    @classmethod
    def of(cls, runs: Sequence[dg.DagsterRun], job: str) -> _Ended:
        own = [run for run in runs if run.job_name == job]
        return cls(len(own), sum(run.status != dg.DagsterRunStatus.SUCCESS for run in own))


@dataclass(frozen=True)
class _History:
    """What has been tried at a request.

    Attributes:
        is_ours: whether the request is a run of this instance; what commands, or other instances, have begun, they
            see through themselves.
        is_known: whether the instance has the request, or any run that it has led to.
        command_at_work: whether the request is a command that has not ended.
        tries: ended runs by partition key.
        last_status: of the last ended run of each partition.
        finishes, assessments: of the finish job and of the quality job.
    """

    is_ours: bool
    is_known: bool
    command_at_work: bool
    tries: Counter[str]
    last_status: dict[str, dg.DagsterRunStatus]
    finishes: _Ended
    assessments: _Ended

    @classmethod
    def of(cls, instance: dg.DagsterInstance, served: ServedSet, store: SetStore, pointer: Pointer) -> _History:
        names = served.names
        runs = list(instance.get_runs(dg.RunsFilter(tags={INVOCATION_TAG: pointer.request})))
        ended = [run for run in runs if run.status not in RUNNING]
        assessments = _Ended.of(ended, names.quality_job)
        subtrees = [run for run in ended if run.job_name == names.subtree_job]
        processes = {run.tags[PROCESS_TAG] for run in runs if PROCESS_TAG in run.tags}
        is_ours = instance.get_run_by_id(pointer.request) is not None
        return cls(
            is_ours=is_ours,
            is_known=is_ours or bool(runs),
            command_at_work=not assessments.ended
            and any(is_command_alive(store, pointer.request, process) for process in processes),
            tries=Counter(key for run in subtrees for key in partitions_of(instance, served, run)),
            last_status={
                key: run.status for run in reversed(subtrees) for key in partitions_of(instance, served, run)
            },
            finishes=_Ended.of(ended, names.finish_job),
            assessments=assessments,
        )

    def may_try(self, key: str) -> bool:
        """Whether the partition may be launched without anybody asking for it."""
        is_cancelled = self.last_status.get(key) == dg.DagsterRunStatus.CANCELED
        return self.is_ours and not is_cancelled and self.tries[key] < ATTEMPTS

    @property
    def is_finished(self) -> bool:
        """Whether the request has had its reports; a command's are its own."""
        return not self.is_ours or self.finishes.ended > self.finishes.failed


def _free(instance: dg.DagsterInstance, served: ServedSet, active: Sequence[dg.DagsterRun]) -> int:
    """How many more runs of the set the accelerator has room for, beside its own and those of other sets."""
    tagged = dg.RunsFilter(tags={ACCELERATOR_TAG: served.spec.diffusion.device}, statuses=list(RUNNING))
    busy = {run.run_id for run in [*instance.get_runs(tagged), *active]}
    return max(served.spec.runs.max_concurrent - len(busy), 0)


def _held(served: ServedSet) -> str:
    return f"as many runs as runs.max_concurrent allows hold the device {served.spec.diffusion.device}"
