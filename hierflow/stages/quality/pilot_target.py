"""What a document asks of a pilot, and whether a pilot can tell."""

from __future__ import annotations

from hierflow.errors import InputError
from hierflow.prompts import PromptSet
from hierflow.scoring.sampled_mean import least_sample
from hierflow.spec import QualityTarget
from hierflow.stages.context import Stage


def metric_of(stage: Stage, target: QualityTarget) -> str:
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


def check_sample(prompts: PromptSet, target: QualityTarget) -> None:
    """See whether the sample could show that no more than `max_loss` is lost.

    Raises:
        InputError: it could not even if no image of it lost anything.
    """
    whole = len(prompts.hashes)
    least = least_sample(whole, target.max_loss)
    if target.sample < min(least, whole):
        raise InputError(
            f"cannot show that {whole} prompts lose at most {target.max_loss:g}, even if the sample loses nothing",
            field="sharing.quality.sample",
            value=target.sample,
            remedy=f"sample at least {least}, or raise sharing.quality.max_loss",
        )
