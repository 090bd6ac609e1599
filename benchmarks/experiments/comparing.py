"""Runs held against each other: over all seeds, in pairs, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.experiments.bench import Bench
from benchmarks.experiments.keeping import Kept
from benchmarks.experiments.kernel_distance import kernel_shares
from benchmarks.experiments.lists import again
from benchmarks.experiments.runs import Run, standard
from hierflow.scoring.cluster_bootstrap import ClusterBootstrap, Interval
from hierflow.scoring.comparison import Comparison, compare
from hierflow.scoring.diversity import mean_pairwise_similarity, vendi_score
from hierflow.scoring.paired_scores import PairedScores, tie_band

LARGEST_INDEX: Final = 1000
"""Draws of noise are numbered: seed x this + image index."""


class Score(NamedTuple):
    """A number an image.

    Attributes:
        title: in tables.
        measure, column: where it lies.
    """

    title: str
    measure: str
    column: str


SCORES: Final = (
    Score("VQA log-odds", "vqa", "vqa"),
    Score("CLIP similarity", "clip", "clip"),
    Score("attributes right", "classifier", "attributes"),
    Score("all right", "classifier", "all"),
)
KID: Final = "KID"


@dataclass(frozen=True)
class Diversity:
    """How different the images of a run are.

    Attributes:
        similarity, vendi: a value a seed.
    """

    similarity: list[float]
    vendi: list[float]


class Comparing:
    """Comparisons of a folder's runs; a run stands for itself with each of the seeds.

    Args:
        bench: the folder.
        seeds: all of them must be there, or there is no comparison.
    """

    def __init__(self, bench: Bench, seeds: Sequence[int]) -> None:
        self.bench, self.seeds = bench, list(seeds)
        self._kernels: dict[Run, list[npt.NDArray[np.float64]]] = {}
        self._facts: dict[tuple[str, str, str, str], dict[str, Any]] = {}

    @property
    def facts(self) -> list[dict[str, Any]]:
        """What has been compared so far, a row each."""
        return list(self._facts.values())

    @cached_property
    def scores(self) -> list[Score]:
        """Those whose judges are there."""
        return [score for score in SCORES if score.measure in self.bench.judges.names]

    @property
    def judged(self) -> list[Score]:
        """Those that say of each image how sure a judge is, so that win rates have a meaning."""
        return [score for score in self.scores if score.measure != "classifier"]

    @property
    def titles(self) -> list[str]:
        """Of the scores, and KID."""
        return [*(score.title for score in self.scores), KID]

    def kept(self, run: Run) -> list[Kept] | None:
        """The run with every seed; None unless all are there, and measured."""
        found = [self.bench.kept(run.of_seed(seed)) for seed in self.seeds]
        files = self.bench.judges.names.values()
        whole = [kept for kept in found if kept and all(kept.has(file) for file in files)]
        return whole if len(whole) == len(self.seeds) else None

    def saved(self, run: Run) -> float:
        """The share of the evaluations of the standard way that the run does without, by the hook's count."""
        return 1 - self.per_image(run) / self.per_image(standard(run.set, 0))

    def per_image(self, run: Run) -> float:
        """Evaluations an image, by the hook's count."""
        kept = self.kept(run)
        assert kept, f"{run.name} is not there"
        return float(np.mean([one.about["evaluations"] / len(one.rows["prompt"]) for one in kept]))

    def difference(self, tried: Run, against: Run, title: str) -> Interval | None:
        """Of the means, tried less against, by a score or by KID (where less is better); None if a run is missing."""
        if title == KID:
            return self._kernel_difference(tried, against)
        pairs = self._pairs(tried, against, self._score(title))
        if pairs is None:
            return None
        interval = ClusterBootstrap(pairs.groups, pairs.seeds).interval(pairs.differences)
        self._note(tried, against, title, interval, pairs=len(pairs))
        return interval

    def compared(self, tried: Run, against: Run, title: str) -> Comparison | None:
        """Both in pairs by a score, with the tie band of the standard way; None if a run is missing."""
        score = self._score(title)
        pairs, again = self._pairs(tried, against, score), self._again(tried.set, score)
        if pairs is None or again is None:
            return None
        found = compare(pairs, tie_band(again))
        self._note(tried, against, f"win rate, {title}", found.win_rate, pairs=found.pairs)
        return found

    def again(self, set_name: str, title: str) -> Comparison | None:
        """The standard way under another seed beside itself."""
        pairs = self._again(set_name, self._score(title))
        return compare(pairs, tie_band(pairs)) if pairs else None

    def kernel(self, run: Run) -> list[npt.NDArray[np.float64]] | None:
        """KID of a run's images against renders, a seed an array: (N,) shares of the images, whose mean it is.

        Features are in units of the renders' root mean square, in which the kernel's 1 means something.
        """
        if run not in self._kernels and (kept := self.kept(run)):
            renders = self.bench.judges.renders(self.bench.set_of(run), self.bench.work / "renders")
            unit = np.sqrt((renders**2).mean())
            file = self.bench.judges.names["classifier"]
            prompts = np.unique(kept[0].rows["prompt"], return_inverse=True)[1]
            self._kernels[run] = [kernel_shares(one.vectors(file) / unit, renders / unit, prompts) for one in kept]
        return self._kernels.get(run)

    def diversity(self, run: Run) -> Diversity | None:
        """How different the images are, by CLIP's embeddings."""
        kept = self.kept(run)
        if not kept:
            return None
        embedded = [one.vectors(self.bench.judges.names["clip"]) for one in kept]
        return Diversity([mean_pairwise_similarity(e) for e in embedded], [vendi_score(e) for e in embedded])

    def _kernel_difference(self, tried: Run, against: Run) -> Interval | None:
        first, second, kept = self.kernel(tried), self.kernel(against), self.kept(against)
        if first is None or second is None or kept is None:
            return None
        groups, seeds = self._design(kept)
        interval = ClusterBootstrap(groups, seeds).interval(np.concatenate(first) - np.concatenate(second))
        self._note(tried, against, KID, interval)
        return interval

    def _pairs(self, tried: Run, against: Run, score: Score) -> PairedScores | None:
        first, second = self.kept(tried), self.kept(against)
        return self._paired(first, second, score) if first and second else None

    def _again(self, set_name: str, score: Score) -> PairedScores | None:
        others = [self.bench.kept(standard(set_name, again(seed, self.seeds))) for seed in self.seeds]
        own, file = self.kept(standard(set_name, 0)), self.bench.judges.names[score.measure]
        whole = [kept for kept in others if kept and kept.has(file)]
        return self._paired(whole, own, score) if own and len(whole) == len(own) else None

    def _score(self, title: str) -> Score:
        return next(score for score in self.scores if score.title == title)

    def _paired(self, first: Sequence[Kept], second: Sequence[Kept], score: Score) -> PairedScores:
        file = self.bench.judges.names[score.measure]
        for one, other in zip(first, second, strict=True):
            assert one.rows["prompt"] == other.rows["prompt"], "pairs are of one prompt"
        return PairedScores(
            np.concatenate([one.scores(file)[score.column] for one in first]),
            np.concatenate([one.scores(file)[score.column] for one in second]),
            *self._design(first),
        )

    def _design(self, kept: Sequence[Kept]) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.int64]]:
        """Of all images of all seeds: the first-level subtree, and the number of the noise's draw."""
        indices = [np.array(one.rows["image_index"]) for one in kept]
        groups = np.concatenate([np.array(one.rows["group"]).astype(str) for one in kept])
        draws = [seed * LARGEST_INDEX + own for seed, own in zip(self.seeds, indices, strict=True)]
        return groups, np.concatenate(draws)

    def _note(self, tried: Run, against: Run, title: str, interval: Interval, **further: Any) -> None:
        key = tried.set, tried.way, against.way, title
        named = dict(zip(("set", "tried", "against", "score"), key, strict=True))
        self._facts[key] = {**named, "seeds": len(self.seeds), **asdict(interval), **further}
