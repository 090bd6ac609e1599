"""The level-synchronous loop (the paper's Algorithm 1, on a whole frontier at a time).

All nodes that are active at step k form one batch. The network sees it in smaller batches, the sampler steps
once, and where a node splits its row is gathered for each child: a node starts from the state of whichever node
served its prompts at step k - 1.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from hierflow.denoise.batched_prediction import BatchedPrediction
from hierflow.denoise.noise import generator, initial_generator
from hierflow.denoise.sampler_state import SamplerState, joined
from hierflow.denoise.work import Stretch
from hierflow.models.adapter import Adapter

if TYPE_CHECKING:
    import torch

Keep = Callable[[str, SamplerState], None]
OnLevel = Callable[[int, int], None]


class Frontier:
    """Executes stretches level by level.

    Args:
        adapter: the model.
        conditioning: for a segment, its mean conditioning by name, without a row axis.
        representative: for a segment, the smallest text hash of its founding members.
        keep: is given every state that a stretch wants stored, and its id.
        on_level: is told the step and the number of nodes after every level.
    """

    def __init__(
        self,
        adapter: Adapter,
        *,
        conditioning: Callable[[int], dict[str, torch.Tensor]],
        representative: Callable[[int], str],
        keep: Keep,
        on_level: OnLevel,
    ) -> None:
        self._adapter = adapter
        self._conditioning, self._representative = conditioning, representative
        self._keep, self._on_level = keep, on_level
        self._seed = adapter.identity.seed
        self._takes_generator = "generator" in inspect.signature(adapter.scheduler.step).parameters
        self.prediction = BatchedPrediction(adapter)

    def run(self, stretches: Sequence[Stretch]) -> None:
        """Execute every stretch; what they keep goes to `keep`."""
        import torch

        active: list[Stretch] = []
        state: SamplerState | None = None
        means: dict[str, torch.Tensor] = {}
        first = min((stretch.first for stretch in stretches), default=1)
        last = max((stretch.last for stretch in stretches), default=0)
        with torch.inference_mode():
            for step in range(first, last + 1):
                present = [stretch for stretch in stretches if stretch.first <= step <= stretch.last]
                if not present:
                    active, state = [], None
                    continue
                if present != active:
                    present, state = self._assembled(present, active, state)
                    active, means = present, self._means(present)
                assert state is not None
                state = self._stepped(step, active, state, means)
                for row, stretch in enumerate(active):
                    if step in stretch.keep:
                        self._keep(stretch.keep[step], state.rows([row]))
                self._on_level(step, len(active))

    def _stepped(
        self, step: int, active: Sequence[Stretch], state: SamplerState, means: dict[str, torch.Tensor]
    ) -> SamplerState:
        """One level: predict in batches, step the sampler once."""
        scheduler = self._adapter.scheduler
        state.restore(scheduler)
        output = self.prediction.predict(state.latents, step - 1, means)
        extra: dict[str, Any] = {}
        if self._takes_generator:
            extra["generator"] = [
                generator(self._seed, stretch.image_index, self._representative(stretch.segment), step)
                for stretch in active
            ]
        timestep = scheduler.timesteps[step - 1]
        latents = scheduler.step(output, timestep, state.latents, return_dict=False, **extra)[0]
        return SamplerState.captured(scheduler, latents.to(state.latents.dtype))

    def _assembled(
        self, present: Sequence[Stretch], before: Sequence[Stretch], state: SamplerState | None
    ) -> tuple[list[Stretch], SamplerState]:
        """The rows of the new frontier: those that go on or branch off, those from the store, those from noise."""
        row_of = {id(stretch): row for row, stretch in enumerate(before)}
        origin = {id(s): s if id(s) in row_of else s.source for s in present}
        going_on = [s for s in present if isinstance(origin[id(s)], Stretch)]
        from_store = [s for s in present if isinstance(origin[id(s)], SamplerState)]
        from_noise = [s for s in present if origin[id(s)] is None]
        parts = []
        if going_on:
            assert state is not None
            parts.append(state.rows([row_of[id(origin[id(s)])] for s in going_on]))
        parts += [s.source for s in from_store if isinstance(s.source, SamplerState)]
        if from_noise:
            parts.append(self._from_noise(from_noise))
        return going_on + from_store + from_noise, joined(parts)

    def _from_noise(self, stretches: Sequence[Stretch]) -> SamplerState:
        scheduler, kind = self._adapter.scheduler, self._adapter.identity.initial_noise
        scheduler.set_timesteps(len(scheduler.timesteps))  # forget the history of whatever ran before
        generators = [
            initial_generator(self._seed, s.image_index, self._representative(s.segment), kind) for s in stretches
        ]
        return SamplerState.captured(scheduler, self._adapter.initial_latents(generators))

    def _means(self, stretches: Sequence[Stretch]) -> dict[str, torch.Tensor]:
        import torch

        rows = [self._conditioning(stretch.segment) for stretch in stretches]
        return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
