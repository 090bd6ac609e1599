"""What pairs say of a set, in words that claim no more than their interval does."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from hierflow.images.quality_charts import signed
from hierflow.scoring.cluster_bootstrap import CONFIDENCE, Interval
from hierflow.scoring.judgement import Judgement, best
from hierflow.scoring.pair import SHARED, STANDARD, Pair
from hierflow.scoring.quality import Quality
from hierflow.scoring.quality_floor import MARGIN

_HOLDS = f"{round(CONFIDENCE / (1 - CONFIDENCE))} times in {round(1 / (1 - CONFIDENCE))}"


class Metric(NamedTuple):
    """A metric's name, in short and in full, and what it measures."""

    short: str
    name: str
    about: str


_METRICS: Mapping[str, Metric] = {
    "vqa": Metric(
        "VQA",
        "VQA score",
        "How sure a model that reads images is that the image shows what its prompt says, in log-odds.",
    ),
    "clip": Metric(
        "CLIP",
        "CLIP score",
        "How well image and prompt agree by a CLIP model that had no part in making them, as a cosine.",
    ),
    "clip_similarity": Metric(
        "CLIP",
        "CLIP similarity",
        "How well image and prompt agree by the CLIP model that comes with the diffusion model, as a cosine.",
    ),
}


def metric_of(name: str) -> Metric:
    """The words for a metric."""
    return _METRICS.get(name) or Metric(name, name, "")


class Offer(NamedTuple):
    """A sample that a set without pairs could have, and what it would take.

    Attributes:
        pairs: how many.
        evaluations: for their baselines, at most.
        planned: for the set itself.
    """

    pairs: int
    evaluations: int
    planned: int


@dataclass(frozen=True)
class Headline:
    """What the page says first.

    Attributes:
        state: "passed", "blocked", "undecided", "told" (without a floor) or "unknown".
        figure: the win rate; empty where none may be told.
        words: the rest of the sentence after the figure, or all of it.
        notes: what belongs to it, in sentences.
    """

    state: str
    figure: str
    words: str
    notes: list[str]


def headline(quality: Quality, floor: float | None, offer: Offer | None, *, has_images: bool = True) -> Headline:
    """The sentence above all.

    Args:
        quality: what is known.
        floor: of the document; None if it sets none.
        offer: where nothing was asked for, what could be.
        has_images: whether the set has any image.
    """
    if not has_images:
        return Headline("unknown", "", "There are no images yet.", [])
    if not quality.judgements:
        return _without_pairs(offer)
    judged = best(quality.judgements)
    shared, fault = judged.arms.shared, judged.arms.fault
    win_rate = shared.win_rate
    if fault is not None:
        words = "Whether shared images are as good as standard ones cannot be told."
        return Headline("unknown", "", words, [f"{metric_of(judged.metric).name}: {fault}."])
    verdict = quality.verdict
    if verdict is None or floor is None:
        state, words = "told", _told(win_rate)
    else:
        state, words = str(verdict.state), _held_against(verdict.more_pairs, floor)[verdict.state]
    seed = "; all pairs are of one seed, and the range speaks of that seed alone" if shared.seeds == 1 else ""
    explained = (
        "Each pair is one prompt with the same noise, made both ways. 50% would be as good as standard, and a tie "
        f"counts half. The brackets hold the truth {_HOLDS}{seed}."
    )
    said = f"{bracketed(win_rate)} against standard ones{words}."
    return Headline(state, percent(win_rate.estimate), said, [explained])


def _without_pairs(offer: Offer | None) -> Headline:
    if offer is None:
        return Headline(
            "unknown",
            "",
            "There are no pairs to compare yet.",
            ["A prompt of the sample has a pair once its own image is current and its baselines are made."],
        )
    times = offer.evaluations / offer.planned
    prompts = f"{offer.pairs:,} prompt{'' if offer.pairs == 1 else 's'}"
    return Headline(
        "unknown",
        "",
        "Shared images are not compared with standard ones.",
        [
            f"With scoring: {{baseline_sample: {offer.pairs}}} the next run also makes {prompts} the standard way, "
            f"with another seed and on a shuffled tree, and compares. That takes at most {offer.evaluations:,} "
            f"evaluations, {times:.1f} times the set’s own {offer.planned:,}; made once, booked as measured.",
        ],
    )


def _told(win_rate: Interval) -> str:
    """What an interval says of 1/2, after the figure."""
    if not win_rate.excludes(0.5):
        return ": no difference can be told from these pairs"
    return ": they do better" if win_rate.estimate > 0.5 else ": they do worse"


def _held_against(more_pairs: int | None, floor: float) -> dict[str, str]:
    least = f"the floor of {100 * floor:g}%"
    more = "more" if more_pairs is None else f"about {more_pairs:,} more"
    return {
        "passed": f": enough for {least} less its margin of {100 * MARGIN:g} points",
        "blocked": f": less than {least}",
        "undecided": f": undecided, {more} pairs would tell whether that is enough for {least}",
    }


def percent(share: float) -> str:
    """`48%`."""
    return f"{100 * share:.0f}%"


def bracketed(win_rate: Interval) -> str:
    """`(41 to 55%)`."""
    if win_rate.lower is None or win_rate.upper is None:
        return "(too few subtrees for a range)"
    return f"({100 * win_rate.lower:.0f} to {percent(win_rate.upper)})"


def difference(interval: Interval, decimals: int) -> str:
    """`−0.016 (−0.029 to −0.003)`."""
    words = signed(interval.estimate, decimals)
    if interval.lower is None or interval.upper is None:
        return words
    return f"{words} ({signed(interval.lower, decimals)} to {signed(interval.upper, decimals)})"


def decimals_of(judgement: Judgement) -> int:
    """As many as show the largest of the arms' mean differences with three digits."""
    arms = judgement.arms
    return decimals_for(max(abs(arm.difference.estimate) for arm in (arms.shared, arms.again, arms.shuffled)))


def decimals_for(size: float) -> int:
    """As many as show a figure of that size with three digits."""
    return min(8, max(0, 2 - math.floor(math.log10(size)))) if size else 2


def lost_by(pair: Pair, metric: str) -> float | None:
    """How much lower the shared image's score is than the standard one's; None where one of them is not there."""
    shared, standard = (pair.images[arm].scores.get(metric) for arm in (SHARED, STANDARD))
    return None if shared is None or standard is None else standard - shared


def outcome(pair: Pair, judgement: Judgement) -> str:
    """What became of the shared image: `lost`, `tied`, `won`, or `not scored`."""
    by, band = lost_by(pair, judgement.metric), judgement.arms.shared.band
    if by is None:
        return "not scored"
    return "lost" if by > band else "won" if by < -band else "tied"


def outcomes_of(pairs: Iterable[Pair], judgement: Judgement) -> list[tuple[str, int]]:
    """How often each outcome is that of a pair."""
    found = Counter(outcome(pair, judgement) for pair in pairs)
    return [(word, found[word]) for word in ("lost", "tied", "won", "not scored") if found[word]]
