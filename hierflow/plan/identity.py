"""Names for states: two states with one id hold the same latents, whichever run computed them.

A state's id chains what it was made from: the previous state, the conditioning of its node, and the step. What
has no say in the latents (the live members of a node, the end of its segment, its partition, the device) is
not in it, so re-planning, re-binning or retiring a prompt renames nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from hierflow.hashing import digest
from hierflow.plan.segments import Plan


@dataclass(frozen=True)
class SamplingIdentity:
    """Everything besides conditioning and step that decides what a denoising step computes.

    Attributes:
        denoiser: fingerprint of the denoising network (hub commit, or hash of the local files).
        scheduler: class name, configuration and timesteps of the sampler.
        guidance_scale: weight of classifier-free guidance.
        height, width: of the image, in pixels.
        dtype: precision of the network, such as "float32".
        seed: the user's seed.
        initial_noise: "per_root" or "shared".
        fixed_batch: rows the network always sees where bits are promised; None where they are not.
    """

    denoiser: str
    scheduler: Mapping[str, Any]
    guidance_scale: float
    height: int
    width: int
    dtype: str
    seed: int
    initial_noise: str
    fixed_batch: int | None

    def root(self, image_index: int) -> str:
        """The id from which every state of image `image_index` descends (64 hex digits)."""
        return digest("hierflow root 1", asdict(self), image_index)


def conditioning_id(encoder: str, text_hashes: Sequence[str]) -> str:
    """The id of a node's conditioning: the encoder's fingerprint and its founding members' texts, in any order."""
    return digest("hierflow conditioning 1", encoder, sorted(text_hashes))


def next_state_id(previous: str, conditioning: str, step: int) -> str:
    """The id of the state that step `step` (1-based) makes of `previous` under `conditioning`."""
    return hashlib.sha256(f"{previous}\n{conditioning}\n{step}".encode()).hexdigest()


@dataclass(frozen=True)
class StateIds:
    """The ids of every state of a plan, for one image index.

    Args:
        plan: the plan.
        conditioning: one conditioning id a segment.
        root: from :meth:`SamplingIdentity.root`.
    """

    plan: Plan
    conditioning: Sequence[str]
    root: str

    def at(self, segment: int, step: int) -> str:
        """The id of `segment`'s state after `step`, which must lie in its run."""
        return self._chains[segment][step - int(self.plan.first[segment])]

    def chain(self, segment: int) -> str:
        """The id of the first state of the run of steps that `segment` belongs to.

        A run is what one conditioning does to one state, wherever it ends, and however many segments a graft has
        divided it into: so a state has one name, its run and its step, whatever is grafted on its path.
        """
        return self._runs[segment]

    def end(self, segment: int) -> str:
        """The id of the segment's last state."""
        return self._chains[segment][-1]

    def final(self, leaf: int) -> str:
        """The id of the state that prompt `leaf` is decoded from."""
        return self.end(int(self.plan.segment_of_node[leaf]))

    @cached_property
    def _runs(self) -> list[str]:
        runs: list[str] = []
        for segment, parent in enumerate(self.plan.parent):
            goes_on = parent >= 0 and self.conditioning[segment] == self.conditioning[parent]
            runs.append(runs[parent] if goes_on else self._chains[segment][0])
        return runs

    @cached_property
    def _chains(self) -> list[list[str]]:
        chains: list[list[str]] = []
        for segment, parent in enumerate(self.plan.parent):
            state, chain = self.root if parent < 0 else chains[parent][-1], []
            for step in range(int(self.plan.first[segment]), int(self.plan.last[segment]) + 1):
                state = next_state_id(state, self.conditioning[segment], step)
                chain.append(state)
            chains.append(chain)
        return chains
