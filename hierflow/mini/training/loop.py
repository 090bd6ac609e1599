"""The training loop that every part shares: schedule, moving average, checkpoints, and one or more processes.

Progress is counted in steps alone, and every step draws its randomness from (seed, rank, step): a run that was
interrupted goes on from its last checkpoint as if nothing had happened, however long it was stopped.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from hierflow.mini.training.curves import Curve
from hierflow.mini.training.workers import Workers

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
    """What differs between the parts, apart from model and loss.

    Attributes:
        folder: where checkpoints lie.
        curve: the CSV file of the losses; None keeps none.
    """

    schedule: Schedule
    folder: Path
    curve: Path | None = None
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    ema_decay: float | None = 0.99
    checkpoint_every: int = 200
    seed: int = 0


class Trainer:
    """Trains the parameters of a module that want gradients, and keeps their moving average."""

    def __init__(self, module: nn.Module, settings: Settings, workers: Workers) -> None:
        """Move the module to the workers' device, and resume from `settings.folder` if a checkpoint lies there."""
        module.to(workers.device)
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
        flat = torch.zeros(sum(parameter.numel() for parameter in self.parameters), device=self.workers.device)
        start = 0
        for parameter in self.parameters:
            parameter.grad = flat[start : start + parameter.numel()].view_as(parameter)
            start += parameter.numel()
        return flat

    def run(self, loss: Loss) -> None:
        """Train to the schedule's end, then put the moving average in the module's place."""
        schedule, recent = self.settings.schedule, []
        curve = self._curve()
        while self.step < schedule.steps:
            recent.append(self._train_step(loss))
            if self.step % LOG_EVERY == 0 or self.step == schedule.steps:
                if curve is not None:
                    curve.add(self.step, torch.stack(recent).mean().item(), schedule.rate(self.step - 1))
                recent.clear()
            if self.step % self.settings.checkpoint_every == 0 and self.step < schedule.steps:
                self.save_checkpoint()
        self.save_checkpoint()
        with torch.no_grad():
            for parameter, average in zip(self.parameters, self.average, strict=True):
                parameter.copy_(average)

    def _curve(self) -> Curve | None:
        if self.settings.curve is None or not self.workers.is_first:
            return None
        return Curve(self.settings.curve, self.step, self.settings.schedule.steps)

    def _train_step(self, loss: Loss) -> Tensor:
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
        return value.detach()

    @torch.no_grad()
    def _update_average(self) -> None:
        limit = self.settings.ema_decay
        # A young average must follow quickly, or it would remember the random start.
        decay = 0.0 if limit is None else min(limit, (self.step + 1) / (self.step + 20))
        for average, parameter in zip(self.average, self.parameters, strict=True):
            average.lerp_(parameter, 1 - decay)

    def save_checkpoint(self) -> None:
        """Write parameters, buffers, average and optimizer; a crash in between leaves the previous state intact."""
        if not self.workers.is_first or not self.optimizer.state:
            return
        tensors = {f"module.{name}": value for name, value in self.module.state_dict().items()}
        for name, parameter, average in zip(self.names, self.parameters, self.average, strict=True):
            moments = self.optimizer.state[parameter]
            tensors[f"average.{name}"] = average
            tensors[f"first.{name}"], tensors[f"second.{name}"] = moments["exp_avg"], moments["exp_avg_sq"]
        folder = self.settings.folder
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / f"step_{self.step}.safetensors"
        save_file({name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}, fresh)
        progress = folder / f"{PROGRESS_FILE}.new"
        progress.write_text(json.dumps({"step": self.step, "state": fresh.name}))
        progress.replace(folder / PROGRESS_FILE)
        for old in set(folder.glob("step_*.safetensors")) - {fresh}:
            old.unlink()

    def _resume(self) -> None:
        folder = self.settings.folder
        progress = json.loads((folder / PROGRESS_FILE).read_text())
        tensors = load_file(folder / progress["state"], device=str(self.workers.device))
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
