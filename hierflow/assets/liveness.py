"""Which runs are at work on a set; runs whose process is gone are recognised, so that nobody waits for them."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg

from hierflow.assets.events import RUNNING
from hierflow.assets.names import PROCESS_TAG, SET_TAG
from hierflow.assets.served_set import ServedSet

_PARTITION_TAG = "dagster/partition"
_RANGE_TAGS = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
"""How a backfill names its one partition: a range from it to itself."""


def process_tag() -> str:
    """Names this process for as long as its machine is up: node, process id and time of its start."""
    return f"{os.uname().nodename}:{os.getpid()}:{_started(os.getpid())}"


def active_runs(instance: dg.DagsterInstance, served: ServedSet) -> list[dg.DagsterRun]:
    """The runs at work on any of the set's assets, whoever launched them; dead ones are marked failed.

    A run without a process tag belongs to a launcher of Dagster's, which watches over it. A run on another machine
    counts as alive: nothing here can tell.
    """
    living = []
    for run in _running(instance, served):
        if is_dead(run.tags.get(PROCESS_TAG)):
            instance.report_run_failed(run, message="The process that executed this run has died.")
        else:
            living.append(run)
    return living


def living_runs(instance: dg.DagsterInstance, served: ServedSet) -> list[dg.DagsterRun]:
    """What :func:`active_runs` finds, and dead ones are left as they are: nothing is written."""
    return [run for run in _running(instance, served) if not is_dead(run.tags.get(PROCESS_TAG))]


def _running(instance: dg.DagsterInstance, served: ServedSet) -> list[dg.DagsterRun]:
    """The runs on any of the set's assets that have not ended, as the instance has it."""
    runs = instance.get_runs(dg.RunsFilter(statuses=list(RUNNING)))
    name, keys = served.spec.name, served.keys
    return [run for run in runs if run.tags.get(SET_TAG) == name or keys & set(run.asset_selection or ())]


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


def is_dead(process: str | None) -> bool:
    """Whether a process tag names a process of this machine that is gone, or whose number another one has now."""
    if not process:
        return False
    node, _, rest = process.partition(":")
    pid, _, started = rest.partition(":")
    if node != os.uname().nodename or not pid.isdigit():
        return False
    return _started(int(pid)) != started


def _started(pid: int) -> str:
    """When a process began, in clock ticks since the machine did; "gone" if there is none or it is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return _started_without_proc(pid)
    return "gone" if fields[0] == "Z" else fields[19]


def _started_without_proc(pid: int) -> str:
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
