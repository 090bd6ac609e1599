"""What shared images are compared with: the same prompts, made three other ways.

Each arm is a compiled plan over the very tree of the set, so that the engine executes it as it executes the set
itself, and names its states by what they are: a state that both hold is made once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hierflow.hashing import digest, text_hash
from hierflow.plan.compiled import CompiledPlan
from hierflow.plan.document import PlanDocument, PlannedVariant
from hierflow.plan.lanes import Lane, Variant
from hierflow.prompts import PromptSet
from hierflow.scoring.pair import AGAIN, SHUFFLED, STANDARD
from hierflow.tree.planted import PlantedTree

ARMS = (STANDARD, AGAIN, SHUFFLED)
"""What makes baselines."""

SEEDS = 2**63
"""Seeds lie below."""


@dataclass(frozen=True)
class Arm:
    """One way to make the images of some prompts.

    Attributes:
        name: of :data:`ARMS`.
        compiled: the plan that makes them.
        lane_of: the lane that makes the image of each of the rows, by the row.
        leaf_of: the leaf that the row's prompt has in the arm's tree.
    """

    name: str
    compiled: CompiledPlan
    lane_of: dict[int, Lane]
    leaf_of: dict[int, int]

    @property
    def evaluations(self) -> int:
        """Denoiser steps of all its images; what is stored is not looked at."""
        return sum(lane.evaluations for lane in self.compiled.lanes)

    def state(self, row: int) -> str:
        """The id of the state that the row's image is decoded from."""
        return self.lane_of[row].ids.final(self.leaf_of[row])


def sample(compiled: CompiledPlan, prompts: PromptSet, size: int) -> list[int]:
    """At most `size` rows of the plan's prompts, one a distinct prompt, drawn at random.

    The draw is by a hash of the text, so a prompt that is in the sample stays there until one comes that is drawn
    before it: a night's edits ask for few new baselines.
    """
    drawn = sorted(compiled.leaf_of, key=lambda text: digest("hierflow sample 1", text))[:size]
    return sorted(next(row for row in prompts.rows_of(text) if compiled.lanes_of(prompts, row)) for text in drawn)


def arm_of(name: str, compiled: CompiledPlan, prompts: PromptSet, rows: Sequence[int]) -> Arm:
    """The arm `name` for the first image of some rows of the set.

    Args:
        name: of :data:`ARMS`.
        compiled: the set's plan.
        prompts: its prompts.
        rows: of `prompts`, at least one.
    """
    if name == SHUFFLED:
        planted, moved = _shuffled(compiled)
        return _arm(name, compiled.document, planted, moved, prompts, rows)
    document = replace(compiled.document, tau=0.0)
    return _arm(name, document, compiled.planted, compiled.leaf_of, prompts, rows)


def at_tau(tau: float, compiled: CompiledPlan, prompts: PromptSet, rows: Sequence[int]) -> Arm:
    """The first image of some rows as the set would have it at another tau, on the same tree."""
    document = replace(compiled.document, tau=tau)
    return _arm(f"tau {tau:.4g}", document, compiled.planted, compiled.leaf_of, prompts, rows)


def _arm(
    name: str,
    document: PlanDocument,
    planted: PlantedTree,
    leaf_of_text: Mapping[str, int],
    prompts: PromptSet,
    rows: Sequence[int],
) -> Arm:
    leaf_of = {row: leaf_of_text[text_hash(prompts.texts[row])] for row in rows}
    variant_of = {row: _varied(name, document.variant_of(prompts.settings_of(row))) for row in rows}
    variants = tuple(
        PlannedVariant(variant, tuple(sorted({leaf_of[row] for row in rows if variant_of[row] == variant})))
        for variant in dict.fromkeys(variant_of.values())
    )
    arm = CompiledPlan(replace(document, variants=variants, images_per_prompt=1), planted)
    return Arm(name, arm, {row: arm.lane(variant, 0) for row, variant in variant_of.items()}, leaf_of)


def _varied(name: str, variant: Variant) -> Variant:
    return replace(variant, seed=(variant.seed + 1) % SEEDS) if name == AGAIN else variant


def _shuffled(compiled: CompiledPlan) -> tuple[PlantedTree, dict[str, int]]:
    """The tree with the live prompts dealt out anew among their own leaves, and the leaf of each.

    Its shape is the set's own, and so are its cost and what retired prompts are part of.
    """
    planted, live = compiled.planted, np.flatnonzero(compiled.live)
    key = int(digest("hierflow shuffle 1", planted.id)[:16], 16)
    dealt = np.random.default_rng(key).permutation(live)
    texts = list(planted.texts)
    for place, source in zip(live.tolist(), dealt.tolist(), strict=True):
        texts[place] = planted.texts[source]
    return replace(planted, texts=tuple(texts)), {texts[place]: place for place in live.tolist()}
