"""What a plan will cost, from one measured evaluation."""

from __future__ import annotations

import math
from dataclasses import dataclass

STARTUP_SHARE = 0.05
"""The largest share of a partition's time that starting its run should take."""


@dataclass(frozen=True)
class Pace:
    """What earlier runs measured.

    Attributes:
        seconds_per_evaluation: wall seconds of one denoiser evaluation, batches and sampler included.
        startup_seconds: wall seconds from the launch of a partition's run to its first evaluation.
    """

    seconds_per_evaluation: float
    startup_seconds: float


@dataclass(frozen=True)
class Estimate:
    """What a plan will take at a measured pace.

    Attributes:
        seconds: wall seconds of the whole set, start-ups included, one partition after the other.
        seconds_left: the same of what is still to execute.
        startup_share: share of an average partition's time that is start-up, in [0, 1].
        max_prompts: the smallest partition size that brings that share down to :data:`STARTUP_SHARE`.
    """

    seconds: float
    seconds_left: float
    startup_share: float
    max_prompts: int


def estimate(pace: Pace, evaluations: int, prompts: int, partitions: int, left: tuple[int, int]) -> Estimate:
    """What a plan costs.

    Args:
        pace: what was measured.
        evaluations: of the plan.
        prompts: how many it is for.
        partitions: in how many runs, at least one.
        left: evaluations and partitions that are still to execute.
    """
    work = evaluations * pace.seconds_per_evaluation
    startup = pace.startup_seconds * partitions
    work_a_prompt = work / max(prompts, 1)
    needed = pace.startup_seconds * (1 - STARTUP_SHARE) / STARTUP_SHARE
    return Estimate(
        seconds=work + startup,
        seconds_left=left[0] * pace.seconds_per_evaluation + left[1] * pace.startup_seconds,
        startup_share=startup / (work + startup) if work + startup else 0.0,
        max_prompts=max(1, math.ceil(needed / work_a_prompt)) if work_a_prompt else prompts,
    )
