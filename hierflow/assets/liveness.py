"""Which runs are at work on a set; runs whose process is gone are recognised, so that nobody waits for them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from hierflow.assets.events import RUNNING, free_pool_slots, last_event_time
from hierflow.assets.names import PROCESS_TAG, SET_TAG
from hierflow.assets.served_set import ServedSet

if TYPE_CHECKING:
    from hierflow.store import SetStore

_PARTITION_TAG = "dagster/partition"
_RANGE_TAGS = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
"""How a backfill names its one partition: a range from it to itself."""
_EXECUTING = (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)


def active_runs(instance: dg.DagsterInstance, served: ServedSet) -> list[dg.DagsterRun]:
    """The runs at work on any of the set's assets, whoever launched them.

    Dead runs are reported to Dagster: as canceled where a cancellation was asked for, else as failed.
    """
    store, living = _store(served), []
    for run in _running(instance, served):
        if not is_dead(instance, store, served, run):
            living.append(run)
        elif (ended := instance.get_run_by_id(run.run_id)) and ended.status in RUNNING:  # it may have ended just now
            _report_dead(instance, run)
            store.heartbeats.delete(run.run_id)
    return living


def living_runs(instance: dg.DagsterInstance, served: ServedSet) -> list[dg.DagsterRun]:
    """The runs that :func:`active_runs` returns; nothing is written."""
    store = _store(served)
    return [run for run in _running(instance, served) if not is_dead(instance, store, served, run)]


def is_dead(instance: dg.DagsterInstance, store: SetStore, served: ServedSet, run: dg.DagsterRun) -> bool:
    """Whether the process that executes a run is gone.

    Where /proc can tell, it decides. Otherwise the run is dead when its last sign of life is older than the time-out:
    its heartbeat, or before and between its steps its last event in Dagster. Runs that Dagster has not started yet
    are never dead. A run that also makes assets outside the set writes no heartbeat while it makes those, so only
    its heartbeat can show that it is dead.
    """
    process = run.tags.get(PROCESS_TAG)
    if process and (alive := is_process_alive(process)) is not None:
        return not alive
    if not process and run.status not in _EXECUTING:
        return False
    heartbeat = store.heartbeats.last(run.run_id)
    if heartbeat is None and not set(run.asset_selection or ()) <= served.keys:
        return False
    return store.heartbeats.is_stale(last_event_time(instance, run.run_id) if heartbeat is None else heartbeat)


def is_command_alive(store: SetStore, invocation: str, process: str) -> bool:
    """Whether a `hierflow run` has not ended, by its process tag or else by its own heartbeat."""
    alive = is_process_alive(process)
    if alive is not None:
        return alive
    heartbeat = store.heartbeats.last(invocation)
    return heartbeat is not None and not store.heartbeats.is_stale(heartbeat)


def active_partitions(instance: dg.DagsterInstance, served: ServedSet) -> dict[str, str]:
    """The partitions of a set that runs are working on, and those runs."""
    runs = active_runs(instance, served)
    return {key: run.run_id for run in runs for key in partitions_of(instance, served, run)}


def partitions_of(instance: dg.DagsterInstance, served: ServedSet, run: dg.DagsterRun) -> list[str]:
    """The partitions a run is of, those of a range in Dagster's order; empty if it is of none."""
    if _PARTITION_TAG in run.tags:
        return [run.tags[_PARTITION_TAG]]
    ends = list(dict.fromkeys(run.tags[tag] for tag in _RANGE_TAGS if tag in run.tags))
    if len(ends) < 2:
        return ends
    known = list(instance.get_dynamic_partitions(served.names.partitions))
    if not set(ends) <= set(known):  # deleted in Dagster since
        return ends
    first, last = (known.index(end) for end in ends)
    return known[first : last + 1]


def process_tag() -> str:
    """Identifies this process: boot id and PID namespace of its host, process id, and start time."""
    return f"{_namespace() or 'unknown'}:{os.getpid()}:{_start_time(os.getpid())}"


def is_process_alive(process: str) -> bool | None:
    """Whether a process tag names a process that runs, or one whose id another process has now.

    Returns:
        None if this process cannot tell: it runs under another boot, on another host or in another PID namespace.
    """
    namespace, *rest = process.rsplit(":", 2)
    if len(rest) != 2 or namespace != _namespace() or not rest[0].isdigit():
        return None
    return _start_time(int(rest[0])) == rest[1]


def _running(instance: dg.DagsterInstance, served: ServedSet) -> list[dg.DagsterRun]:
    """The runs on any of the set's assets that have not ended, as the instance has it."""
    runs = instance.get_runs(dg.RunsFilter(statuses=list(RUNNING)))
    name, keys = served.spec.name, served.keys
    return [run for run in runs if run.tags.get(SET_TAG) == name or keys & set(run.asset_selection or ())]


def _report_dead(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    from hierflow.store.heartbeats import TIMEOUT_SECONDS

    is_canceled = run.status == dg.DagsterRunStatus.CANCELING
    report = instance.report_run_canceled if is_canceled else instance.report_run_failed
    minutes = TIMEOUT_SECONDS / 60
    report(
        run,
        message=f"The process that executed this run is gone, or has shown no sign of life for {minutes:g} minutes.",
    )
    free_pool_slots(instance, run.run_id)


def _store(served: ServedSet) -> SetStore:
    return served.stage("liveness", "liveness").store


def _namespace() -> str | None:
    """The boot and the PID namespace whose processes this process sees; None if it cannot tell."""
    if not Path("/proc").is_dir():  # macOS, which has no PID namespaces
        return os.uname().nodename
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        return None
    # /proc may be mounted for an outer namespace: then it lists two or more ids of this process.
    if [line.split()[1:] for line in lines if line.startswith("NSpid:")] != [[str(os.getpid())]]:
        return None
    return f"{boot}:{namespace}"


def _start_time(pid: int) -> str:
    """When a process started, in clock ticks since the boot; "gone" if there is none or it is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return _start_time_without_proc(pid)
    return "gone" if fields[0] == "Z" else fields[19]


def _start_time_without_proc(pid: int) -> str:
    """macOS has no /proc: there a process that answers signals counts as the one that was meant."""
    if Path("/proc").is_dir():
        return "gone"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return "gone"
    except PermissionError:
        return "unknown"  # it is there, and somebody else's
    return "unknown"
