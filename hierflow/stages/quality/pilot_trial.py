"""What a pilot of a set would try: worked out once, before anybody knows whether there was such a pilot."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hierflow.errors import InputError
from hierflow.hashing import digest
from hierflow.plan.budget import tau_within
from hierflow.plan.compiled import CompiledPlan
from hierflow.prompts import PromptSet
from hierflow.scoring.pair import STANDARD
from hierflow.spec import QualityTarget
from hierflow.stages.context import Stage
from hierflow.stages.quality.arms import Arm, arm_of, at_tau, sample
from hierflow.stages.quality.pilot_target import metric_of
from hierflow.tree import EmbeddingTree

BUDGETS = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.35, 0.3, 0.25, 0.2)
"""Shares of the standard evaluations, from safe to bold. They are fixed beforehand and tried in this order up to the
first that fails, so that trying several does not make a false pass any likelier (fixed-sequence testing)."""


@dataclass(frozen=True)
class Trial:
    """What a pilot would try.

    Attributes:
        unshared: the set's plan at tau 0.
        prompts: its prompts.
        target: what may be lost.
        metric: the score that tells, by its name in the manifest.
        rows: the sample, rows of `prompts`.
        standard: the arm that shared images are compared with.
        taus: the budgets that the set can be made for, and the tau of each.
        name: names the pilot of just this set and target by all that it depends on.
    """

    unshared: CompiledPlan
    prompts: PromptSet
    target: QualityTarget
    metric: str
    rows: list[int]
    standard: Arm
    taus: tuple[tuple[float, float], ...]
    name: str

    def at(self, tau: float) -> Arm:
        """The sample's images as the set would have them at that tau."""
        return at_tau(tau, self.unshared, self.prompts, self.rows)

    @property
    def most_evaluations(self) -> int:
        """The evaluations of a pilot that tries every budget."""
        return sum(arm.evaluations for arm in (self.standard, *(self.at(tau) for _, tau in self.taus)))


def trial_of(stage: Stage, unshared: CompiledPlan, prompts: PromptSet, target: QualityTarget) -> Trial:
    """What a pilot of this set and target would try.

    Raises:
        InputError: the set has no such score.
    """
    metric, rows = metric_of(stage, target), sample(unshared, prompts, target.sample)
    document, standard = unshared.document, arm_of(STANDARD, unshared, prompts, rows)
    lanes = tuple(planned.leaves for planned in document.variants)
    taus = _taus(unshared.planted.tree, document.evaluations_a_step, lanes)
    made = [document.tree, [standard.state(row) for row in rows], document.decoder]
    judged = [metric, stage.scorers.versions[metric], target.max_loss]
    name = digest("hierflow pilot 2", made, judged, taus)[:32]
    return Trial(unshared, prompts, target, metric, rows, standard, taus, name)


@lru_cache(maxsize=1)  # an outlook asks several times of one tree, and a search takes seconds
def _taus(
    tree: EmbeddingTree, steps: tuple[int, ...], lanes: tuple[tuple[int, ...], ...]
) -> tuple[tuple[float, float], ...]:
    """The budgets that a set can be made for, and the tau of each; of every lane its prompts (leaves)."""
    found, leaves = [], [np.array(own, dtype=np.int64) for own in lanes]
    for budget in BUDGETS:
        try:
            found.append((budget, tau_within(budget, tree, steps, leaves)))
        except InputError:
            break
    return tuple(found)
