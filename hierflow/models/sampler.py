"""A sampler: a diffusers scheduler with its timesteps set, and how the engine takes its steps."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


class Sampler:
    """A scheduler at the beginning of its schedule, as often as that is wanted.

    An *evaluation* is one call of the network and of the scheduler's `step`. Most samplers take one a step; those
    that take several go through `timesteps` evaluation by evaluation.

    Attributes:
        scheduler: the diffusers scheduler; its history and counters are those of whatever ran last.
        evaluations_a_step: how many evaluations each of the steps takes.
    """

    def __init__(self, scheduler: Any, evaluations_a_step: tuple[int, ...]) -> None:
        self.scheduler, self.evaluations_a_step = scheduler, evaluations_a_step
        parameters = inspect.signature(scheduler.step).parameters
        self._takes_generators = "generator" in parameters
        self._looks_ahead = "prev_timestep" in parameters
        self._beginning = _copied(vars(scheduler))

    def restart(self) -> None:
        """Forget the history of whatever ran before."""
        attributes = vars(self.scheduler)
        attributes.clear()  # in place: a tap shares them
        attributes.update(_copied(self._beginning))

    def step(
        self, output: torch.Tensor, index: int, latents: torch.Tensor, generators: Sequence[torch.Generator]
    ) -> torch.Tensor:
        """The latents after evaluation number `index` (0-based), a row a node.

        Args:
            output: the guided model output for `latents`.
            index: which evaluation.
            latents: before it.
            generators: one a row; drawn from only where the sampler adds noise.
        """
        timesteps = self.scheduler.timesteps
        arguments: dict[str, Any] = {}
        if self._takes_generators:
            arguments["generator"] = list(generators)
        if self._looks_ahead:
            arguments["prev_timestep"] = timesteps[index + 1] if index + 1 < len(timesteps) else None
        stepped = self.scheduler.step(output, timesteps[index], latents, return_dict=False, **arguments)
        after: torch.Tensor = stepped[0]
        return after


def _copied(attributes: dict[str, Any]) -> dict[str, Any]:
    """Schedulers change lists in place, and replace everything else."""
    return {name: list(value) if isinstance(value, list) else value for name, value in attributes.items()}
