"""The processes that share a training."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from typing import Final

import torch
import torch.distributed as dist
from torch import multiprocessing

MOST_PROCESSES: Final = 2


@dataclass(frozen=True)
class Workers:
    """Each process computes its share of a batch, and all apply the mean gradient.

    Attributes:
        rank, size: which of how many this process is.
        device: on which it computes.
    """

    rank: int
    size: int
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def is_first(self) -> bool:
        """Tell whether this process is the one that writes files."""
        return self.rank == 0

    def share(self, batch: int) -> int:
        """Return how many samples of a batch are this process's."""
        return -(-batch // self.size)


Task = Callable[[Workers], None]
"""What processes do together; it can be pickled."""


def alone() -> Workers:
    """Return a process that works by itself, on CUDA if there is a device."""
    return Workers(0, 1, torch.device("cuda" if torch.cuda.is_available() else "cpu"))


def share_out(task: Task) -> None:
    """Do a task in as many processes as make it fastest: one on CUDA, else up to two with one thread each.

    On a busy machine two processes with one thread each outrun one process with two threads. They end with this one,
    however it ends.
    """
    size = min(MOST_PROCESSES, os.cpu_count() or 1)
    if size == 1 or alone().device.type != "cpu":
        task(alone())
        return
    with TemporaryDirectory() as folder:
        meeting = f"file://{folder}/meeting"
        multiprocessing.spawn(_work, (task, size, meeting), size)  # type: ignore[no-untyped-call, attr-defined]


def _work(rank: int, task: Task, size: int, meeting: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=size)
    task(Workers(rank, size))
    dist.destroy_process_group()
