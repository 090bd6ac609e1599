"""The training loop that every part shares: schedule, moving average, checkpoints, and one or more processes.

Progress is counted in steps alone, and every step draws its randomness from (seed, rank, step): a run that was
interrupted goes on from its last checkpoint as if nothing had happened, however long it was stopped.
"""

import json
import logging
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

PROGRESS_FILE: Final = "progress.json"
LOG_EVERY: Final = 50

Loss = Callable[[np.random.Generator], Tensor]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Schedule:
    """The learning rate over `steps`: a linear rise, a plateau of the share `hold`, then half a cosine down."""

    steps: int
    peak: float
    warmup: int = 100
    hold: float = 0.0
    floor: float = 0.03

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        progress = step / self.steps
        falling = max(0.0, (progress - self.hold) / (1 - self.hold)) if self.hold < 1 else 0.0
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, falling)))
        return self.peak * min(1.0, (step + 1) / self.warmup) * (self.floor + (1 - self.floor) * cosine)


@dataclass(frozen=True)
class Settings:
    """What differs between the parts, apart from model and loss."""

    schedule: Schedule
    folder: Path
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    ema_decay: float | None = 0.99
    checkpoint_every: int = 200
    seed: int = 0


@dataclass(frozen=True)
class Workers:
    """The processes that share a run; each computes its own batch and all apply the mean gradient."""

    rank: int
    size: int

    @property
    def is_first(self) -> bool:
        """Tell whether this process is the one that writes files."""
        return self.rank == 0


def join_workers() -> Workers:
    """Join the processes started by torchrun, or work alone without it.

    One thread a process: on a busy machine two processes with one thread each outrun one process with two threads.
    """
    torch.set_num_threads(1)
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size > 1 and not dist.is_initialized():
        dist.init_process_group("gloo")
    return Workers(int(os.environ.get("RANK", "0")), size)


class Trainer:
    """Trains the parameters of a module that want gradients, and keeps their moving average."""

    def __init__(self, module: nn.Module, settings: Settings, workers: Workers) -> None:
        """Resume from `settings.folder` if a checkpoint lies there."""
        self.module, self.settings, self.workers, self.step = module, settings, workers, 0
        named = {name: value for name, value in module.named_parameters() if value.requires_grad}
        self.names = list(named)
        self.parameters: list[Tensor] = list(named.values())
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=settings.schedule.peak, weight_decay=settings.weight_decay, betas=settings.betas
        )
        self.gradient = self._flat_gradient()
        self.average = [parameter.detach().clone() for parameter in self.parameters]
        if (settings.folder / PROGRESS_FILE).exists():
            self._resume()

    def _flat_gradient(self) -> Tensor:
        """Let all gradients live in one buffer, which one all-reduce then averages."""
        flat = torch.zeros(sum(parameter.numel() for parameter in self.parameters))
        start = 0
        for parameter in self.parameters:
            parameter.grad = flat[start : start + parameter.numel()].view_as(parameter)
            start += parameter.numel()
        return flat

    def run(self, loss: Loss) -> None:
        """Train to the schedule's end, then put the moving average in the module's place."""
        recent: list[float] = []
        while self.step < self.settings.schedule.steps:
            recent.append(self._train_step(loss))
            if self.step % LOG_EVERY == 0 and self.workers.is_first:
                _log.info("step %d of %d, loss %.4f", self.step, self.settings.schedule.steps, np.mean(recent))
                recent.clear()
            if self.step % self.settings.checkpoint_every == 0:
                self.save_checkpoint()
        self.save_checkpoint()
        with torch.no_grad():
            for parameter, average in zip(self.parameters, self.average, strict=True):
                parameter.copy_(average)

    def _train_step(self, loss: Loss) -> float:
        settings = self.settings
        rng = np.random.default_rng((settings.seed, self.workers.rank, self.step))
        torch.manual_seed(int(rng.integers(2**62)))
        self.gradient.zero_()
        value = loss(rng)
        value.backward()  # type: ignore[no-untyped-call]
        if self.workers.size > 1:
            dist.all_reduce(self.gradient)
            self.gradient.div_(self.workers.size)
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = settings.schedule.rate(self.step)
        self.optimizer.step()
        self.step += 1
        self._update_average()
        return value.item()

    @torch.no_grad()
    def _update_average(self) -> None:
        limit = self.settings.ema_decay
        # A young average must follow quickly, or it would remember the random start.
        decay = 0.0 if limit is None else min(limit, (self.step + 1) / (self.step + 20))
        for average, parameter in zip(self.average, self.parameters, strict=True):
            average.lerp_(parameter, 1 - decay)

    def save_checkpoint(self) -> None:
        """Write parameters, buffers, average and optimizer; a crash in between leaves the previous state intact."""
        if not self.workers.is_first:
            return
        tensors = {f"module.{name}": value for name, value in self.module.state_dict().items()}
        for name, parameter, average in zip(self.names, self.parameters, self.average, strict=True):
            moments = self.optimizer.state[parameter]
            tensors[f"average.{name}"] = average
            tensors[f"first.{name}"], tensors[f"second.{name}"] = moments["exp_avg"], moments["exp_avg_sq"]
        folder = self.settings.folder
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / f"step_{self.step}.safetensors"
        save_file({name: value.detach().clone().contiguous() for name, value in tensors.items()}, fresh)
        progress = folder / f"{PROGRESS_FILE}.new"
        progress.write_text(json.dumps({"step": self.step, "state": fresh.name}))
        progress.replace(folder / PROGRESS_FILE)
        for old in set(folder.glob("step_*.safetensors")) - {fresh}:
            old.unlink()

    def _resume(self) -> None:
        folder = self.settings.folder
        progress = json.loads((folder / PROGRESS_FILE).read_text())
        tensors = load_file(folder / progress["state"])
        self.step = int(progress["step"])
        self.module.load_state_dict(
            {name.removeprefix("module."): value for name, value in tensors.items() if name.startswith("module.")}
        )
        self.average = [tensors[f"average.{name}"] for name in self.names]
        for name, parameter in zip(self.names, self.parameters, strict=True):
            self.optimizer.state[parameter] = {
                "step": torch.tensor(float(self.step)),
                "exp_avg": tensors[f"first.{name}"],
                "exp_avg_sq": tensors[f"second.{name}"],
            }
        _log.info("resumed at step %d", self.step)
