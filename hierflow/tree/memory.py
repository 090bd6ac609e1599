"""Whether there is enough free memory to build a tree."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hierflow.errors import InputError

MEMBERSHIP = Path("/proc/self/cgroup")
CGROUPS = Path("/sys/fs/cgroup")
CGROUP_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
CGROUP_V2 = ("memory.max", "memory.current", "inactive_file")
"""Files of a control group's limit and usage, and the field of memory.stat that counts reclaimable cache."""

NO_ROOM = "not compared with a fresh one, for which this machine has too little free memory"
"""What the plan says of a tree that has grown beyond what the machine can build."""


def tree_bytes(prompts: int) -> int:
    """What clustering so many prompts takes at its peak: scipy holds the distance of every pair twice, and centroid
    linkage a square matrix of float64, which is as much."""
    return 8 * prompts**2


def available_bytes() -> float:
    """The memory that this process can take beyond what it holds, on this machine and within its control groups."""
    import psutil

    on_machine: float = psutil.virtual_memory().available
    return max(0, min([on_machine, *_cgroup_bytes()]))


def has_room(prompts: int) -> bool:
    """Whether a tree of so many prompts fits into the available memory."""
    return tree_bytes(prompts) <= available_bytes()


def check_room(prompts: int) -> None:
    """Refuse a tree that cannot be held, before any work is done for it.

    Raises:
        InputError: there is too little memory for a tree of so many prompts.
    """
    if not has_room(prompts):
        raise InputError(
            f"different prompts are too many for one tree: clustering them takes {tree_bytes(prompts) / 1e9:,.3g} GB "
            f"of memory, and {available_bytes() / 1e9:,.3g} GB are available",
            field="prompts",
            value=prompts,
            remedy="split the set, or plan it on a machine with more free memory",
        )


def _cgroup_bytes() -> Iterator[float]:
    """What the limit of each control group around this process leaves free. Linux only; v1 and v2."""
    try:
        lines = MEMBERSHIP.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root, files = (CGROUPS / "memory", CGROUP_V1) if controllers else (CGROUPS, CGROUP_V2)
        group = root / path.lstrip("/")
        # Inside a container the path may be the host's, of which only the root is mounted.
        for folder in [group, *group.parents]:
            if folder.is_relative_to(root):
                yield from _group_bytes(folder, *files)


def _group_bytes(folder: Path, limit: str, usage: str, reclaimable: str) -> Iterator[float]:
    """The free memory of one control group, unless it has no limit."""
    try:
        statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        used = int((folder / usage).read_text()) - int(statistics.get(reclaimable, 0))
        yield int((folder / limit).read_text()) - used
    except (OSError, ValueError):  # not mounted, the root of v2, or "max"
        return
