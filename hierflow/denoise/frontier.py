"""The level-synchronous loop (the paper's Algorithm 1, on a whole frontier at a time).

All nodes that are active at step k form one batch. The network sees it in smaller batches, the sampler steps
once, and where a node splits its row is gathered for each child: a node starts from the state of whichever node
served its prompts at step k - 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from hierflow.denoise.batched_prediction import BatchedPrediction
from hierflow.denoise.noise import generator, initial_generator
from hierflow.denoise.sampler_state import SamplerState, joined
from hierflow.denoise.work import Stretch
from hierflow.models.adapter import Adapter, at_size
from hierflow.models.batches import Batches

if TYPE_CHECKING:
    import torch

Keep = Callable[[str, SamplerState], None]


class Frontier:
    """Executes stretches level by level.

    Args:
        adapter: the model.
        conditioning: for a stretch, the mean conditioning of its node by name, without a row axis; on the CPU.
        representative: for a segment, the smallest text hash of its founding members.
        keep: is given every state that a stretch wants stored, and its id.
        batches: how a level is divided among calls of the network; by default as device and document say.
    """

    def __init__(
        self,
        adapter: Adapter,
        *,
        conditioning: Callable[[Stretch], dict[str, torch.Tensor]],
        representative: Callable[[int], str],
        keep: Keep,
        batches: Batches | None = None,
    ) -> None:
        self._adapter = adapter
        self.conditioning, self.representative, self.keep = conditioning, representative, keep
        self.prediction = BatchedPrediction(batches or Batches(adapter.runtime), adapter.rows_per_evaluation)

    def run(self, stretches: Sequence[Stretch]) -> Iterator[tuple[int, int]]:
        """Execute every stretch; what they keep goes to `keep`.

        Yields:
            After every level: the step, and the number of nodes that have it.
        """
        import torch

        by_size: dict[tuple[int, int], list[Stretch]] = {}
        for stretch in stretches:
            by_size.setdefault((stretch.lane.variant.width, stretch.lane.variant.height), []).append(stretch)
        # Latents of several sizes are no batch, but a level is one level whatever their size: the books count by it.
        fronts = [
            _Front(self, at_size(self._adapter, width, height), own) for (width, height), own in by_size.items()
        ]
        first = min((stretch.first for stretch in stretches), default=1)
        last = max((stretch.last for stretch in stretches), default=0)
        for step in range(first, last + 1):
            with torch.inference_mode():
                nodes = sum(front.advance(step) for front in fronts)
            if nodes:
                yield step, nodes


class _Front:
    """The frontier of one image size, between two levels."""

    def __init__(self, frontier: Frontier, adapter: Adapter, stretches: Sequence[Stretch]) -> None:
        self._frontier, self._adapter, self._stretches = frontier, adapter, stretches
        self._active: list[Stretch] = []
        self._state: SamplerState | None = None
        self._means: dict[tuple[int, str | None], dict[str, torch.Tensor]] = {}

    def advance(self, step: int) -> int:
        """Execute step `step` of all nodes that have it; returns how many they are."""
        present = [stretch for stretch in self._stretches if stretch.first <= step <= stretch.last]
        if not present:
            self._active, self._state = [], None
            return 0
        if present != self._active:
            self._active, self._state = self._assembled(present)
            self._means = self._mean_conditioning()
        assert self._state is not None
        self._state = self._stepped(step, self._state)
        for row, stretch in enumerate(self._active):
            if step in stretch.keep:
                self._frontier.keep(stretch.keep[step], self._state.rows([row]))
        return len(self._active)

    def _stepped(self, step: int, state: SamplerState) -> SamplerState:
        """One level: predict in batches, step the sampler once."""
        sampler = self._adapter.sampler
        state.restore(sampler.scheduler)
        means = [self._means[_conditioned(stretch)] for stretch in self._active]
        output = self._frontier.prediction.predict(self._adapter, state.latents, step - 1, means)
        generators = [
            generator(s.lane.variant.seed, s.lane.image_index, self._frontier.representative(s.segment), step)
            for s in self._active
        ]
        latents = sampler.step(output, step - 1, state.latents, generators)
        return SamplerState.captured(sampler.scheduler, latents.to(state.latents.dtype))

    def _assembled(self, present: Sequence[Stretch]) -> tuple[list[Stretch], SamplerState]:
        """The rows of the new frontier: those that go on or branch off, those from the store, those from noise."""
        row_of = {id(stretch): row for row, stretch in enumerate(self._active)}
        origin = {id(s): s if id(s) in row_of else s.source for s in present}
        going_on = [s for s in present if isinstance(origin[id(s)], Stretch)]
        from_store = [s for s in present if isinstance(origin[id(s)], SamplerState)]
        from_noise = [s for s in present if origin[id(s)] is None]
        parts = []
        if going_on:
            assert self._state is not None
            parts.append(self._state.rows([row_of[id(origin[id(s)])] for s in going_on]))
        parts += [s.source for s in from_store if isinstance(s.source, SamplerState)]
        if from_noise:
            parts.append(self._from_noise(from_noise))
        return going_on + from_store + from_noise, joined(parts)

    def _from_noise(self, stretches: Sequence[Stretch]) -> SamplerState:
        sampler, kind = self._adapter.sampler, self._adapter.identity.initial_noise
        sampler.restart()
        generators = [
            initial_generator(s.lane.variant.seed, s.lane.image_index, self._frontier.representative(s.segment), kind)
            for s in stretches
        ]
        return SamplerState.captured(sampler.scheduler, self._adapter.initial_latents(generators))

    def _mean_conditioning(self) -> dict[tuple[int, str | None], dict[str, torch.Tensor]]:
        """The conditioning of the nodes that are active, each made once and forgotten when it has done its work."""
        active = {_conditioned(stretch): stretch for stretch in self._active}
        return {
            key: self._means[key] if key in self._means else self._frontier.conditioning(stretch)
            for key, stretch in active.items()
        }


def _conditioned(stretch: Stretch) -> tuple[int, str | None]:
    """What stretches of equal conditioning have in common."""
    return stretch.segment, stretch.lane.variant.negative_prompt
