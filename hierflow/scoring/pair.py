"""A pair: an image of the set, and what other ways of making it gave for the same prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SHARED = "shared"
"""The set's own image, among the arms of a pair."""
STANDARD, AGAIN, SHUFFLED = "standard", "again", "shuffled"
"""The others. `standard`: the prompt alone from the first step, its noise keyed as in the set. `again`: the same with
another seed, which shows how far two standard images of one prompt lie apart. `shuffled`: on the set's own plan with
its prompts dealt out anew among the leaves (the paper's random clustering), which a measure that is worth anything
must see."""


@dataclass(frozen=True)
class ArmImage:
    """One image of a pair.

    Attributes:
        state: the id of the state it is decoded from.
        path, sha256: of its file, relative to the set's folder.
        scores: by the scorer's name.
    """

    state: str
    path: str
    sha256: str
    scores: Mapping[str, float]


@dataclass(frozen=True)
class Pair:
    """The images of one prompt.

    Attributes:
        policy: names model, settings, tau, linkage and what the tree is clustered by; pairs of one policy are
            comparable.
        text: the prompt's hash.
        prompt_id, prompt, partition: as in the manifest.
        axes: the prompt's other columns.
        seed: of the shared and the standard image's noise.
        group: names the node that served it early on; the images of one group are not independent of each other.
        images: by :data:`SHARED`, or the arm's name.
        scorers: the version of each score.
    """

    policy: str
    text: str
    prompt_id: str
    prompt: str
    partition: str
    axes: Mapping[str, Any]
    seed: int
    group: str
    images: Mapping[str, ArmImage]
    scorers: Mapping[str, str]

    @property
    def id(self) -> tuple[str, str, str]:
        """What it is of: the policy, and the states of the shared and of the standard image."""
        return self.policy, self.images[SHARED].state, self.images[STANDARD].state
