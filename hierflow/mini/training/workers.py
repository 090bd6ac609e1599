"""The processes that share a training."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import torch
import torch.distributed as dist


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


def join_workers() -> Workers:
    """Join the processes started by torchrun, or work alone without it; on CUDA if there is a device.

    One thread a process: on a busy machine two processes with one thread each outrun one process with two threads.
    """
    torch.set_num_threads(1)
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size > 1 and not dist.is_initialized():
        dist.init_process_group("gloo")
    return Workers(int(os.environ.get("RANK", "0")), size, training_device())


def training_device() -> torch.device:
    """Return the first CUDA device, or the CPU where there is none."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
