"""Recognising runs whose process is gone, so that what they left behind is not waited for."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg

from hierflow.assets.events import RUNNING
from hierflow.assets.names import PROCESS_TAG, SET_TAG


def process_tag() -> str:
    """Names this process for as long as its machine is up: node, process id and time of its start."""
    return f"{os.uname().nodename}:{os.getpid()}:{_started(os.getpid())}"


def active_partitions(instance: dg.DagsterInstance, name: str) -> dict[str, str]:
    """The partitions of a set that other runs are working on, and those runs; dead runs are marked failed.

    A run without a process tag belongs to a launcher of Dagster's, which watches over it. A run on another machine
    counts as alive: nothing here can tell.
    """
    active: dict[str, str] = {}
    for run in instance.get_runs(dg.RunsFilter(tags={SET_TAG: name}, statuses=list(RUNNING))):
        if is_dead(run.tags.get(PROCESS_TAG)):
            instance.report_run_failed(run, message="The process that executed this run has died.")
        elif key := run.tags.get("dagster/partition"):
            active[key] = run.run_id
    return active


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
