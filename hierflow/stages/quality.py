"""How good the set is: its images beside standard ones, and what they look like as a set."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hierflow.images import ImageRow
from hierflow.plan.compiled import CompiledPlan
from hierflow.prompts import PromptSet
from hierflow.scoring.diversity import mean_pairwise_similarity, vendi_score
from hierflow.scoring.judgement import Judgement, judge, verdict
from hierflow.scoring.near_duplicates import near_duplicates
from hierflow.scoring.pair import SHARED, Pair
from hierflow.scoring.quality_floor import Verdict
from hierflow.stages.arms import STANDARD
from hierflow.stages.baselines import measure, whole
from hierflow.stages.context import Stage
from hierflow.stages.looks import looks_of

QUALITY, QUALITY_PAGE = "quality.json", "quality.html"


@dataclass(frozen=True)
class Diversity:
    """How different some images are from each other.

    Attributes:
        images: how many there are.
        similarity: the mean cosine of all pairs; lower is more diverse.
        vendi: how many different images there are in effect.
    """

    images: int
    similarity: float
    vendi: float


@dataclass(frozen=True)
class Twins:
    """Two images of different prompts that look alike, by prompt id and index, and the cosine of their embeddings."""

    one: str
    other: str
    cosine: float


@dataclass(frozen=True)
class Quality:
    """What is known of a set's quality.

    Attributes:
        judgements: what each metric says of the pairs, the best judge first; none where there are no pairs.
        pairs: the pairs, of all runs of this policy.
        verdict: what that means for the document's floor; None if it has none.
        diversity: of the set's images (`set`), and of the pairs' own and standard ones (`shared`, `standard`); none
            without a CLIP model.
        twins: near duplicates, the closest first.
        blank: the images that show nothing, by prompt id and index.
        page: the quality page, an absolute path or URL.
    """

    judgements: tuple[Judgement, ...]
    pairs: tuple[Pair, ...]
    verdict: Verdict | None
    diversity: dict[str, Diversity]
    twins: tuple[Twins, ...]
    blank: tuple[str, ...]
    page: str

    def as_json(self) -> dict[str, Any]:
        """For the stored file."""
        plain = asdict(self)
        del plain["page"]
        for judged, one in zip(plain["judgements"], self.judgements, strict=True):
            judged["fault"] = one.arms.fault
        return {**plain, "pairs": [_plain(pair) for pair in self.pairs]}


def assess(stage: Stage, compiled: CompiledPlan, prompts: PromptSet, rows: Sequence[ImageRow]) -> Quality:
    """Make the baselines that the sample asks for, look at all images, and write both as a file and as a page.

    Args:
        stage: the set.
        compiled: its plan.
        prompts: its prompts.
        rows: its images as they are.

    Raises:
        RunError: the plan was made for another model.
    """
    floor, files = stage.spec.scoring.quality_floor, stage.store.files
    pairs = measure(stage, compiled, prompts, rows) if stage.spec.scoring.baseline_sample else []
    judgements = tuple(filter(None, (judge(pairs, metric) for metric in stage.scorers.compared)))
    there = [row for row in rows if row.image_path]
    witnesses = whole(stage, pairs)
    of_pairs = [image for pair in witnesses for image in (pair.images[SHARED], pair.images[STANDARD])]
    looks = looks_of(
        stage,
        [*((row.image_path, row.image_sha256) for row in there), *((image.path, image.sha256) for image in of_pairs)],
    )
    seen, compared = looks.embeddings[: len(there)], looks.embeddings[len(there) :]
    names = [f"{row.prompt_id}/{row.image_index + 1}" for row in there]
    groups = {"set": seen, "shared": compared[0::2], "standard": compared[1::2]} if stage.scorers.embedded_by else {}
    near = near_duplicates(seen, [row.prompt for row in there], stage.spec.scoring.near_duplicate)
    alike = zip(near.pairs.tolist(), near.similarity.tolist(), strict=True)
    quality = Quality(
        judgements=judgements,
        pairs=tuple(pairs),
        verdict=None if floor is None else verdict(judgements, floor),
        diversity={name: _diversity(rows) for name, rows in groups.items() if len(rows) > 1},
        twins=tuple(Twins(names[one], names[other], cosine) for (one, other), cosine in alike),
        blank=tuple(name for name, blank in zip(names, looks.blank[: len(there)], strict=True) if blank),
        page=files.url(QUALITY_PAGE),
    )
    files.write(QUALITY, json.dumps(quality.as_json(), indent=1, ensure_ascii=False).encode(), durable=True)
    return quality


def _diversity(embeddings: npt.NDArray[np.float64]) -> Diversity:
    return Diversity(len(embeddings), mean_pairwise_similarity(embeddings), vendi_score(embeddings))


def _plain(pair: Pair) -> dict[str, Any]:
    """A pair as the file lists it."""
    scores = {arm: dict(image.scores) for arm, image in pair.images.items()}
    paths = {arm: image.path for arm, image in pair.images.items()}
    return {
        "prompt_id": pair.prompt_id,
        "prompt": pair.prompt,
        "group": pair.group,
        "scores": scores,
        "images": paths,
    }
