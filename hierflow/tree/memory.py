"""Whether a machine can hold what founding a tree takes."""

from __future__ import annotations

import math
import os
from pathlib import Path

from hierflow.errors import InputError

_LIMIT = Path("/sys/fs/cgroup/memory.max")
"""The limit of a container, or `max`."""

NO_ROOM = "not compared with a fresh one, for which this machine has too little memory"
"""What is said of a tree that has grown beyond what the machine could found."""


def tree_bytes(prompts: int) -> int:
    """What clustering so many prompts takes at its peak: scipy holds the distance of every pair twice, and centroid
    linkage a square matrix of float64, which is as much."""
    return 8 * prompts**2


def machine_bytes() -> float:
    """The memory of this machine, or of this container; infinite where the system does not tell."""
    if not hasattr(os, "sysconf"):  # Windows
        return math.inf
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        return min(physical, int(_LIMIT.read_text()))
    except (OSError, ValueError):
        return physical


def has_room(prompts: int) -> bool:
    """Whether this machine can found a tree of so many prompts."""
    return tree_bytes(prompts) <= machine_bytes()


def check_room(prompts: int) -> None:
    """Refuse a tree that cannot be held, before any work is done for it.

    Raises:
        InputError: this machine has too little memory for a tree of so many prompts.
    """
    if not has_room(prompts):
        raise InputError(
            f"different prompts are too many for one tree: clustering them takes {tree_bytes(prompts) / 1e9:,.3g} GB "
            f"of memory, and this machine has {machine_bytes() / 1e9:,.3g} GB",
            field="prompts",
            value=prompts,
            remedy="split the set, or plan it on a machine with more memory",
        )
