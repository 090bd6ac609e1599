"""What is known of sets to test with: pairs whose scores are drawn, judged as the stage judges them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hierflow.hashing import bytes_digest
from hierflow.images import ImageRow
from hierflow.plan.lanes import Variant
from hierflow.scoring.judgement import judge, verdict
from hierflow.scoring.pair import ArmImage, Pair
from hierflow.scoring.quality import Quality

ARMS = ("shared", "standard", "again", "shuffled")
COLORS, THINGS = ("red", "blue"), ("mug", "chair", "hat", "car")


def pair(number: int, scores: Mapping[str, Mapping[str, float]], group: str = "") -> Pair:
    """Pair `number`, by the scores of its arms; an arm that is not named has none."""
    prompt = f"a {COLORS[number % 2]} {THINGS[number % 4]}, number {number}"
    images = {}
    for arm in ARMS:
        sha256 = bytes_digest(f"{arm}/{number}".encode())
        path = f"{'images' if arm == 'shared' else 'baselines'}/0a/{number}-{arm}.png"
        images[arm] = ArmImage(f"state-{number}-{arm}", path, sha256, scores.get(arm, {}))
    return Pair(
        policy="policy",
        text=bytes_digest(prompt.encode()),
        prompt_id=f"id-{number}",
        prompt=prompt,
        partition=f"partition-{number % 3}",
        axes={"color": COLORS[number % 2], "thing": THINGS[number % 4]},
        seed=0,
        group=group or f"group-{number % 16}",
        images=images,
        scorers={},
    )


def drawn(
    count: int = 64,
    *,
    shared: float = 0.0,
    again: float = 0.0,
    shuffled: float = -4.0,
    metric: str = "vqa",
    groups: int = 16,
) -> list[Pair]:
    """Pairs whose arms are on average by so much better than standard, in units of their spread."""
    rng = np.random.default_rng(7)
    standard = rng.normal(2.0, 1.0, count)
    arms = {"shared": shared, "again": again, "shuffled": shuffled}
    others = {arm: standard + shift + rng.normal(0.0, 1.0, count) for arm, shift in arms.items()}
    values = {"standard": standard, **others}
    return [
        pair(at, {arm: {metric: float(of[at])} for arm, of in values.items()}, f"group-{at % groups}")
        for at in range(count)
    ]


def both(one: Sequence[Pair], other: Sequence[Pair]) -> list[Pair]:
    """The pairs with the scores of both."""

    def joined(a: Pair, b: Pair, arm: str) -> ArmImage:
        return replace(a.images[arm], scores={**a.images[arm].scores, **b.images[arm].scores})

    return [replace(a, images={arm: joined(a, b, arm) for arm in ARMS}) for a, b in zip(one, other, strict=True)]


def quality_of(pairs: Sequence[Pair], floor: float | None = None, **changes: Any) -> Quality:
    """What the pairs say."""
    judgements = tuple(filter(None, (judge(pairs, metric) for metric in ("vqa", "clip"))))
    known = Quality(
        judgements=judgements,
        pairs=tuple(pairs),
        verdict=None if floor is None else verdict(judgements, floor),
        diversity={},
        twins=(),
        alike=len(changes.get("twins", ())),
        blank=(),
        page="quality.html",
    )
    return replace(known, **changes)


def row_of(of: Pair, index: int = 0) -> ImageRow:
    """The set's image of a pair."""
    image = of.images["shared"]
    return ImageRow(
        prompt_id=of.prompt_id,
        image_index=index,
        prompt=of.prompt,
        axes=dict(of.axes),
        variant=Variant(0, 64, 64),
        partition=of.partition,
        node_path="",
        image_path=image.path,
        image_sha256=image.sha256,
        evaluations=1.0,
        evaluations_paid=1.0,
        run_id="run",
        scores=dict(image.scores),
    )
