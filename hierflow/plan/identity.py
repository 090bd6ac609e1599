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
from typing import Any, NamedTuple

from hierflow.hashing import digest
from hierflow.plan.segments import Plan


@dataclass(frozen=True)
class SamplingIdentity:
    """Everything besides conditioning and step that decides what a denoising step computes.

    Attributes:
        denoiser: fingerprint of the denoising network (hub commit, or hash of the local files).
        scheduler: class name, configuration and timesteps of the sampler; evaluations a step if they are several.
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

    def evaluations_a_step(self, steps: int) -> tuple[int, ...]:
        """How many evaluations each of the sampler's `steps` steps takes: one, where it does not say otherwise."""
        return tuple(self.scheduler.get("evaluations_a_step") or (1,) * steps)

    def root(self, image_index: int) -> str:
        """The id from which every state of image `image_index` descends (64 hex digits)."""
        return digest("hierflow root 1", asdict(self), image_index)


def conditioning_id(encoder: str, text_hashes: Sequence[str]) -> str:
    """The id of a node's conditioning: the encoder's fingerprint and its founding members' texts, in any order."""
    return digest("hierflow conditioning 1", encoder, sorted(text_hashes))


def next_state_id(previous: str, conditioning: str, step: int) -> str:
    """The id of the state that step `step` (1-based) makes of `previous` under `conditioning`."""
    return hashlib.sha256(f"{previous}\n{conditioning}\n{step}".encode()).hexdigest()


class _Names(NamedTuple):
    chain: list[str]
    run: str


@dataclass(frozen=True)
class StateIds:
    """The ids of every state of a plan, for one variant and image index.

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
        return self._named(segment).chain[step - int(self.plan.first[segment])]

    def chain(self, segment: int) -> str:
        """The id of the first state of the run of steps that `segment` belongs to.

        A run is what one conditioning does to one state, wherever it ends, and however many segments a graft has
        divided it into: so a state has one name, its run and its step, whatever is grafted on its path.
        """
        return self._named(segment).run

    def end(self, segment: int) -> str:
        """The id of the segment's last state."""
        return self._named(segment).chain[-1]

    def final(self, leaf: int) -> str:
        """The id of the state that prompt `leaf` is decoded from."""
        return self.end(int(self.plan.segment_of_node[leaf]))

    def _named(self, segment: int) -> _Names:
        """The names of a segment's states, made when asked for: a lane has few of the plan's."""
        path = list[int]()
        while segment >= 0 and segment not in self._names:
            path.append(segment)
            segment = int(self.plan.parent[segment])
        before = self._names.get(segment)
        for below in reversed(path):
            before = self._names[below] = self._following(below, before)
        assert before is not None
        return before

    def _following(self, segment: int, before: _Names | None) -> _Names:
        state, chain = before.chain[-1] if before else self.root, list[str]()
        for step in range(int(self.plan.first[segment]), int(self.plan.last[segment]) + 1):
            state = next_state_id(state, self.conditioning[segment], step)
            chain.append(state)
        goes_on = before and self.conditioning[segment] == self.conditioning[int(self.plan.parent[segment])]
        return _Names(chain, before.run if before and goes_on else chain[0])

    @cached_property
    def _names(self) -> dict[int, _Names]:
        return {}
