"""Whether a set is at rest, so that what it does not need may be deleted."""

from __future__ import annotations

import dagster as dg

from hierflow.assets.events import backfill_of
from hierflow.assets.liveness import is_command_alive, living_runs, process_tag
from hierflow.assets.names import INVOCATION_TAG, PROCESS_TAG
from hierflow.assets.served_set import ServedSet
from hierflow.store.plans import Pointer


def at_work(instance: dg.DagsterInstance, served: ServedSet, pointer: Pointer | None) -> str | None:
    """What is at work on a set, such as `run 1a2b3c4d (trial_subtrees)`; None if the instance knows of nothing.

    A command in another process counts from its plan to its reports, also between two of its runs. Runs of another
    instance cannot be seen from here.
    """
    if run := next(iter(living_runs(instance, served)), None):
        return f"run {run.run_id[:8]} ({run.job_name})"
    if backfill := backfill_of(instance, served.keys):
        return f"backfill {backfill}"
    if pointer is None:
        return None
    runs = list(instance.get_runs(dg.RunsFilter(tags={INVOCATION_TAG: pointer.request})))
    has_finished = any(run.job_name == served.names.finish_job for run in runs)
    processes = {run.tags[PROCESS_TAG] for run in runs if PROCESS_TAG in run.tags} - {process_tag()}
    store = served.stage("liveness", "liveness").store
    if not has_finished and any(is_command_alive(store, pointer.request, process) for process in processes):
        return "a `hierflow run` in another process"
    return None
