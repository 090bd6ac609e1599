"""The pilot: how much may be shared before a sample of prompts loses more quality than the document allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.special import expit

from hierflow.errors import InputError
from hierflow.hashing import digest
from hierflow.plan.budget import tau_within
from hierflow.plan.compiled import CompiledPlan
from hierflow.prompts import PromptSet
from hierflow.scoring.cluster_bootstrap import ClusterBootstrap, Interval
from hierflow.spec import QualityTarget
from hierflow.stages.arm_images import arm_images, forget
from hierflow.stages.arms import STANDARD, Arm, arm_of, at_tau, sample
from hierflow.stages.context import Stage
from hierflow.stages.groups import group_of
from hierflow.stages.scores import Unscored, missing_scores
from hierflow.store.sealed import read_json, write_json
from hierflow.store.storage import DamagedFileError

BUDGETS = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.35, 0.3, 0.25, 0.2)
"""Shares of the standard evaluations, from safe to bold. They are fixed beforehand and tried in this order up to the
first that fails, so that trying several does not make a false pass any likelier (fixed-sequence testing)."""


@dataclass(frozen=True)
class Point:
    """One budget of the pilot.

    Attributes:
        budget: the share of the standard evaluations.
        tau: the smallest that keeps within it.
        pairs: images that were compared.
        difference: the mean score of shared less standard images, and its interval; as `max_loss` is measured.
        passed: whether the whole interval lies above -`max_loss`.
    """

    budget: float
    tau: float
    pairs: int
    difference: Interval
    passed: bool


@dataclass(frozen=True)
class Pilot:
    """What a pilot found.

    Attributes:
        tau: of the boldest budget before the first that failed; 0 if the safest one fails.
        points: the budgets that were tried, from safe to bold.
    """

    tau: float
    points: tuple[Point, ...]


def pilot(stage: Stage, unshared: CompiledPlan, prompts: PromptSet, target: QualityTarget) -> Pilot:
    """Try budget after budget on a sample of leaves of the whole tree, until one fails; what it found is stored.

    Every image costs what its leaf's path does, from noise to the end; what is made goes on the account as measured.
    States of the budget that is chosen stay, for the set to go on from.

    Args:
        stage: the set.
        unshared: its plan at tau 0.
        prompts: its prompts.
        target: what may be lost.

    Raises:
        InputError: the set has no such score.
    """
    metric, rows = _metric(stage, target), sample(unshared, prompts, target.sample)
    standard, before = arm_of(STANDARD, unshared, prompts, rows), stage.store.states.sizes()
    expected = _scores(stage, standard, prompts, rows, metric)
    points, arms = [], [standard]
    for budget, tau in _taus(unshared):
        arm = at_tau(tau, unshared, prompts, rows)
        arms.append(arm)
        points.append(_tried(stage, arm, prompts, expected, metric, target, budget, tau))
        stage.say(told(points[-1], target))
        if not points[-1].passed:
            break
    passed = [point for point in points if point.passed]
    result = Pilot(passed[-1].tau if passed else 0.0, tuple(points))
    chosen = at_tau(result.tau, unshared, prompts, rows)
    for arm in arms:
        forget(stage, arm, before, needed=chosen.compiled)
    write_json(stage.store.files, _path(pilot_name(stage, unshared, prompts, target)), asdict(result))
    return result


def pilot_name(stage: Stage, unshared: CompiledPlan, prompts: PromptSet, target: QualityTarget) -> str:
    """Names the pilot of just this set and target by all that it depends on.

    Raises:
        InputError: the set has no such score.
    """
    metric, rows = _metric(stage, target), sample(unshared, prompts, target.sample)
    standard = arm_of(STANDARD, unshared, prompts, rows)
    made = [unshared.document.tree, [standard.state(row) for row in rows], unshared.document.decoder]
    judged = [metric, stage.scorers.versions[metric], target.max_loss]
    return digest("hierflow pilot 1", made, judged, BUDGETS)[:32]


def load_pilot(stage: Stage, name: str) -> Pilot | None:
    """The pilot of that name, if there was one."""
    try:
        stored = read_json(stage.store.files, _path(name))
    except FileNotFoundError:
        return None
    except DamagedFileError as error:
        stage.say(f"what the pilot found is lost: {error}")
        return None
    points = tuple(Point(**{**point, "difference": Interval(**point["difference"])}) for point in stored["points"])
    return Pilot(stored["tau"], points)


def most_evaluations(unshared: CompiledPlan, prompts: PromptSet, target: QualityTarget) -> int:
    """The evaluations of a pilot that tries every budget."""
    rows = sample(unshared, prompts, target.sample)
    arms = [arm_of(STANDARD, unshared, prompts, rows)]
    arms += [at_tau(tau, unshared, prompts, rows) for _, tau in _taus(unshared)]
    return sum(arm.evaluations for arm in arms)


def told(point: Point, target: QualityTarget) -> str:
    """A point of the curve as a sentence."""
    return (
        f"{point.budget:.0%} of the evaluations (tau {point.tau:.3g}): {target.metric} {point.difference} in "
        f"{point.pairs} pairs, where it may lose {target.max_loss:g}: {'passed' if point.passed else 'failed'}"
    )


def _taus(unshared: CompiledPlan) -> list[tuple[float, float]]:
    """The budgets that the set can be made for, and the tau of each."""
    lanes, found = unshared.variant_leaves, []
    for budget in BUDGETS:
        try:
            tau = tau_within(budget, unshared.planted.tree, unshared.document.evaluations_a_step, lanes)
        except InputError:
            break
        found.append((budget, tau))
    return found


def _tried(
    stage: Stage,
    arm: Arm,
    prompts: PromptSet,
    expected: Mapping[int, float],
    metric: str,
    target: QualityTarget,
    budget: float,
    tau: float,
) -> Point:
    scores = _scores(stage, arm, prompts, list(expected), metric)
    rows = sorted(scores)
    differences = np.array([scores[row] - expected[row] for row in rows])
    groups = np.array([group_of(arm.compiled.plan, arm.lane_of[row], arm.leaf_of[row]) for row in rows])
    seeds = np.array([arm.lane_of[row].variant.seed for row in rows])
    interval = ClusterBootstrap(groups, seeds).interval(differences)
    passed = interval.lower is not None and interval.lower > -target.max_loss
    return Point(budget, tau, len(rows), interval, passed)


def _scores(stage: Stage, arm: Arm, prompts: PromptSet, rows: Sequence[int], metric: str) -> dict[int, float]:
    """What each row's image scores; log-odds as probabilities, so that a loss is one of them.

    A row whose image could not be made, or has no finite score, is left out.
    """
    images = arm_images(stage, None, prompts, arm, rows)
    unscored = [Unscored(image.path, prompts.texts[row], (metric,)) for row, image in images.items()]
    found = missing_scores(stage, unscored)
    scores = {row: scores[metric] for row, scores in zip(images, found, strict=True) if metric in scores}
    return {row: float(expit(score)) for row, score in scores.items()} if metric == "vqa" else scores


def _metric(stage: Stage, target: QualityTarget) -> str:
    """The score that the target is measured by, by its name in the manifest.

    Raises:
        InputError: images are not given it.
    """
    names = ("vqa",) if target.metric == "vqa" else ("clip", "clip_similarity")
    found = next((name for name in names if name in stage.scorers.versions), None)
    if found is None:
        raise InputError(
            "is not among the scores that images are given",
            field="sharing.quality.metric",
            value=target.metric,
            remedy=f"add it: scoring.metrics: [{target.metric}]",
        )
    return found


def _path(name: str) -> str:
    return f"pilots/{name}.json"
