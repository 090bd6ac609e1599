"""Which images may share: those of one seed, size, negative prompt and image index, each kind over the one tree.

Conditioning is what a tree brings together; whatever else decides a step keeps images apart from the first one on.
So a set of several settings has several frontiers over one tree. Each is a *lane*: its own noise, its own states, and
of the tree's segments those that lead to its own prompts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hierflow.plan.identity import StateIds
from hierflow.plan.segments import Plan

Int = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Variant:
    """What images must have in common to share steps, besides the image index and what the tree brings together.

    Attributes:
        seed: of their noise.
        height, width: in pixels.
        negative_prompt: None for the document's own.
    """

    seed: int
    height: int
    width: int
    negative_prompt: str | None = None


@dataclass(frozen=True, eq=False)
class Lane:
    """The frontier of one variant and image index.

    Attributes:
        variant, image_index: whose images it makes.
        ids: the names of its states, at any segment of the plan.
        leaves: (M,) the live prompts (leaves of the tree) that have such images, ascending.
    """

    variant: Variant
    image_index: int
    ids: StateIds
    leaves: Int

    @property
    def plan(self) -> Plan:
        """The segments of all lanes."""
        return self.ids.plan

    @cached_property
    def segments(self) -> Int:
        """The segments that lead to its prompts, ascending, so that parents stand before children."""
        return self.plan.leading_to(self.leaves)

    @property
    def states(self) -> Iterator[str]:
        """The ids of all states on the paths of its prompts."""
        plan, ids = self.plan, self.ids
        for segment in self.segments.tolist():
            for step in range(int(plan.first[segment]), int(plan.last[segment]) + 1):
                yield ids.at(segment, step)

    @property
    def evaluations(self) -> int:
        """Denoiser steps it takes."""
        return self.plan.steps_of(self.segments)

    @property
    def standard_evaluations(self) -> int:
        """Denoiser steps without sharing."""
        return len(self.leaves) * self.plan.steps
