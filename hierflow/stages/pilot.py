"""The pilot: how much may be shared before a sample of prompts loses more quality than the document allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.special import expit

from hierflow.errors import InputError, RunError
from hierflow.hashing import digest
from hierflow.plan.budget import tau_within
from hierflow.plan.compiled import CompiledPlan
from hierflow.prompts import PromptSet
from hierflow.scoring.cluster_bootstrap import Interval
from hierflow.scoring.pair import STANDARD
from hierflow.scoring.sampled_mean import SampledMean
from hierflow.spec import QualityTarget
from hierflow.stages.arm_images import arm_images, forget
from hierflow.stages.arms import Arm, arm_of, at_tau, sample
from hierflow.stages.context import Stage
from hierflow.stages.measuring import measured_scores
from hierflow.stages.pilot_target import metric_of
from hierflow.stages.scores import Unscored
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
        pairs: prompts whose first image was compared.
        difference: the mean score of shared less standard images, and where that of the whole set lies; as `max_loss`
            is measured.
        passed: whether no image is missing, and the whole interval lies at or above -`max_loss`.
        missing: pairs whose image sharing failed to make; each counts as a loss of 1.
    """

    budget: float
    tau: float
    pairs: int
    difference: Interval
    passed: bool
    missing: int = 0


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

    Each is an image that the set itself would have at that budget, so that the sample's are a random part of the
    set's, of the first image of every prompt, and what is uncertain is the draw alone. A budget that loses more than
    allowed passes at most once in forty times.

    Every image costs what its leaf's path does, from noise to the end; what is made goes on the account as measured.
    States of the budget that is chosen stay, for the set to go on from. A prompt that fails by itself has no say.

    Args:
        stage: the set.
        unshared: its plan at tau 0.
        prompts: its prompts.
        target: what may be lost.

    Raises:
        InputError: the set has no such score.
        RunError: not one prompt of the sample could be made by itself.
    """
    metric, rows = metric_of(stage, target), sample(unshared, prompts, target.sample)
    standard, before = arm_of(STANDARD, unshared, prompts, rows), stage.store.states.sizes()
    expected = _scores(stage, standard, prompts, rows, metric)
    if not expected:
        raise RunError("the pilot has nothing to compare with: not one standard image of its sample could be made")
    known = SampledMean(len(expected), len(unshared.leaf_of) - len(rows) + len(expected))
    points, arms = [], [standard]
    for budget, tau in _taus(unshared):
        arm = at_tau(tau, unshared, prompts, rows)
        arms.append(arm)
        scores = _scores(stage, arm, prompts, list(expected), metric)
        points.append(_judged(budget, tau, scores, expected, known, target))
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
    metric, rows = metric_of(stage, target), sample(unshared, prompts, target.sample)
    standard = arm_of(STANDARD, unshared, prompts, rows)
    made = [unshared.document.tree, [standard.state(row) for row in rows], unshared.document.decoder]
    judged = [metric, stage.scorers.versions[metric], target.max_loss]
    return digest("hierflow pilot 2", made, judged, _taus(unshared))[:32]


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
    lacking = f", {point.missing} of them without an image" if point.missing else ""
    return (
        f"{point.budget:.0%} of the evaluations (tau {point.tau:.3g}): {target.metric} {point.difference} in "
        f"{point.pairs} pairs{lacking}, where it may lose {target.max_loss:g}: "
        f"{'passed' if point.passed else 'failed'}"
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


def _judged(
    budget: float,
    tau: float,
    scores: Mapping[int, float],
    expected: Mapping[int, float],
    known: SampledMean,
    target: QualityTarget,
) -> Point:
    """What the scores of shared images, by row, say of a budget beside those of standard ones."""
    missing = expected.keys() - scores.keys()
    differences = np.array([-1.0 if row in missing else scores[row] - expected[row] for row in expected])
    interval = known.interval(differences, -1.0, 1.0)
    passed = not missing and interval.lower is not None and interval.lower >= -target.max_loss
    return Point(budget, tau, len(expected), interval, passed, len(missing))


def _scores(stage: Stage, arm: Arm, prompts: PromptSet, rows: Sequence[int], metric: str) -> dict[int, float]:
    """What each row's image scores, in [0, 1]: log-odds as probabilities, and (like CLIPScore) no cosine below 0.

    A row whose image could not be made, or has no finite score, is left out.
    """
    images = arm_images(stage, None, prompts, arm, rows)
    unscored = [Unscored(image.path, prompts.texts[row], (metric,)) for row, image in images.items()]
    found = measured_scores(stage, None, unscored)
    scores = {row: scores[metric] for row, scores in zip(images, found, strict=True) if metric in scores}
    return {row: float(expit(score)) if metric == "vqa" else max(score, 0.0) for row, score in scores.items()}


def _path(name: str) -> str:
    return f"pilots/{name}.json"
