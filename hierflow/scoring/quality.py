"""What is known of a set's quality: what pairs say, how diverse the images are, which are alike, which are blank."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hierflow.scoring.diversity import mean_pairwise_similarity, vendi_score
from hierflow.scoring.judgement import Judgement
from hierflow.scoring.pair import Pair
from hierflow.scoring.quality_floor import Verdict


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

    @classmethod
    def of(cls, embeddings: npt.NDArray[np.float64]) -> Diversity:
        """The diversity of at least two images, by their embeddings (N, D)."""
        return cls(len(embeddings), mean_pairwise_similarity(embeddings), vendi_score(embeddings))


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
        twins: the closest near duplicates, the closest first.
        alike: how many near duplicates there are.
        blank: the images that show nothing, by prompt id and index.
        page: the quality page, an absolute path or URL.
    """

    judgements: tuple[Judgement, ...]
    pairs: tuple[Pair, ...]
    verdict: Verdict | None
    diversity: Mapping[str, Diversity]
    twins: tuple[Twins, ...]
    alike: int
    blank: tuple[str, ...]
    page: str

    def as_json(self) -> dict[str, Any]:
        """For the stored file."""
        plain = asdict(self)
        del plain["page"]
        for judged, one in zip(plain["judgements"], self.judgements, strict=True):
            judged["fault"] = one.arms.fault
        return {**plain, "pairs": [_plain(pair) for pair in self.pairs]}


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
