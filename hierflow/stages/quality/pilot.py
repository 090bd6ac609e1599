"""The pilot: how much may be shared before a sample of prompts loses more quality than the document allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.special import expit

from hierflow.errors import RunError
from hierflow.plan.document import PlanDocument
from hierflow.scoring.cluster_bootstrap import Interval
from hierflow.scoring.pilot_curve import PilotCurve, PilotPoint
from hierflow.scoring.sampled_mean import SampledMean
from hierflow.spec import QualityTarget
from hierflow.stages.context import Stage
from hierflow.stages.making.scores import Unscored
from hierflow.stages.quality.arm_images import arm_images, forget
from hierflow.stages.quality.arms import Arm
from hierflow.stages.quality.measuring import measured_scores
from hierflow.stages.quality.pilot_trial import Trial
from hierflow.store.sealed import read_json, write_json
from hierflow.store.storage import DamagedFileError


@dataclass(frozen=True)
class Pilot:
    """What a pilot found.

    Attributes:
        tau: of the boldest budget before the first that failed; 0 if the safest one fails.
        points: the budgets that were tried, from safe to bold.
    """

    tau: float
    points: tuple[PilotPoint, ...]


def pilot(stage: Stage, trial: Trial) -> Pilot:
    """Try budget after budget on a sample of leaves of the whole tree, until one fails; what it found is stored.

    Each is an image that the set itself would have at that budget, so that the sample's are a random part of the
    set's, of the first image of every prompt, and what is uncertain is the draw alone. A budget that loses more than
    allowed passes at most once in forty times.

    Every image costs what its leaf's path does, from noise to the end; what is made goes on the account as measured.
    States of the budget that is chosen stay, for the set to go on from. A prompt that fails by itself has no say.

    Raises:
        RunError: not one prompt of the sample could be made by itself.
    """
    before, drawn, target = stage.store.states.sizes(), len(trial.rows), trial.target
    expected = _scores(stage, trial, trial.standard, trial.rows)
    if not expected:
        raise RunError("the pilot has nothing to compare with: not one standard image of its sample could be made")
    known = SampledMean(len(expected), len(trial.unshared.leaf_of) - drawn + len(expected))
    points, arms = [], [trial.standard]
    for budget, tau in trial.taus:
        arms.append(trial.at(tau))
        scores = _scores(stage, trial, arms[-1], list(expected))
        points.append(_judged(budget, tau, scores, expected, known, target))
        stage.say(told(points[-1], target))
        if not points[-1].passed:
            break
    passed = [point for point in points if point.passed]
    result = Pilot(passed[-1].tau if passed else 0.0, tuple(points))
    chosen = trial.at(result.tau)
    for arm in arms:
        forget(stage, arm, before, needed=chosen.compiled)
    write_json(stage.store.files, _path(trial.name), asdict(result))
    return result


def load_pilot(stage: Stage, name: str) -> Pilot | None:
    """The pilot of that name, if there was one."""
    try:
        stored = read_json(stage.store.files, _path(name))
    except FileNotFoundError:
        return None
    except DamagedFileError as error:
        stage.say(f"what the pilot found is lost: {error}")
        return None
    points = tuple(
        PilotPoint(**{**point, "difference": Interval(**point["difference"])}) for point in stored["points"]
    )
    return Pilot(stored["tau"], points)


def curve_of(stage: Stage, document: PlanDocument) -> PilotCurve | None:
    """What the pilot found that a plan has its tau from; None where there was none, or it is lost."""
    found = load_pilot(stage, document.pilot) if document.pilot else None
    if found is None or not found.points:
        return None
    target = document.tau_from["quality"]
    return PilotCurve(target["metric"], target["max_loss"], found.points)


def told(point: PilotPoint, target: QualityTarget) -> str:
    """A point of the curve as a sentence."""
    lacking = f", {point.missing} of them without an image" if point.missing else ""
    return (
        f"{point.budget:.0%} of the evaluations (tau {point.tau:.3g}): {target.metric} {point.difference} in "
        f"{point.pairs} pairs{lacking}, where it may lose {target.max_loss:g}: "
        f"{'passed' if point.passed else 'failed'}"
    )


def _judged(
    budget: float,
    tau: float,
    scores: Mapping[int, float],
    expected: Mapping[int, float],
    known: SampledMean,
    target: QualityTarget,
) -> PilotPoint:
    """What the scores of shared images, by row, say of a budget beside those of standard ones."""
    missing = expected.keys() - scores.keys()
    differences = np.array([-1.0 if row in missing else scores[row] - expected[row] for row in expected])
    interval = known.interval(differences, -1.0, 1.0)
    passed = not missing and interval.lower is not None and interval.lower >= -target.max_loss
    return PilotPoint(budget, tau, len(expected), interval, passed, len(missing))


def _scores(stage: Stage, trial: Trial, arm: Arm, rows: Sequence[int]) -> dict[int, float]:
    """What each row's image scores, in [0, 1]: log-odds as probabilities, and (like CLIPScore) no cosine below 0.

    A row whose image could not be made, or has no finite score, is left out.
    """
    prompts, metric = trial.prompts, trial.metric
    images = arm_images(stage, None, prompts, arm, rows)
    unscored = [Unscored(image.path, prompts.texts[row], (metric,)) for row, image in images.items()]
    found = measured_scores(stage, None, unscored)
    scores = {row: scores[metric] for row, scores in zip(images, found, strict=True) if metric in scores}
    return {row: float(expit(score)) if metric == "vqa" else max(score, 0.0) for row, score in scores.items()}


def _path(name: str) -> str:
    return f"pilots/{name}.json"
