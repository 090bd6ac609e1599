"""How good the set is: its images beside standard ones, and what they look like as a set."""

from __future__ import annotations

import json
from collections.abc import Sequence

from hierflow.images import ImageRow
from hierflow.images.quality_page import render_quality
from hierflow.images.quality_words import Offer
from hierflow.plan.compiled import CompiledPlan
from hierflow.prompts import PromptSet
from hierflow.scoring.judgement import judge, verdict
from hierflow.scoring.near_duplicates import near_duplicates
from hierflow.scoring.pair import SHARED, STANDARD, ArmImage
from hierflow.scoring.pilot_curve import PilotCurve
from hierflow.scoring.quality import Diversity, Quality, Twins
from hierflow.stages.context import Stage
from hierflow.stages.making.thumbnails import thumbnails_of
from hierflow.stages.quality.arm_images import FOLDER
from hierflow.stages.quality.baselines import measure, outstanding, whole
from hierflow.stages.quality.looks import Looks, looks_of
from hierflow.stages.quality.pilot import curve_of
from hierflow.stages.reports.assembly import QUALITY, QUALITY_PAGE
from hierflow.stages.reports.image_set import GALLERY

_SAMPLE = 64
"""A start for `scoring.baseline_sample`, as its description says."""


def assess(stage: Stage, compiled: CompiledPlan, prompts: PromptSet, rows: Sequence[ImageRow]) -> Quality:
    """Make the baselines that the sample asks for, look at all images, and write both as a file and as a page.

    An image whose file is damaged is told of and left out, and is made again by whatever run needs it next. One that
    has no finite embedding is told of, too, and compared with no other.

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
    witnesses = [(pair.images[SHARED], pair.images[STANDARD]) for pair in whole(stage, pairs)]
    own = [(row.image_path, row.image_sha256) for row in rows if row.image_path]
    looks = looks_of(stage, compiled, [*own, *((image.path, image.sha256) for pair in witnesses for image in pair)])
    there = [row for row in rows if row.image_sha256 in looks.of]
    seen = [row for row in there if looks.compares(row.image_sha256)]
    embeddings, texts = looks.embeddings([row.image_sha256 for row in seen]), [row.prompt for row in seen]
    near = near_duplicates(embeddings, texts, stage.spec.scoring.near_duplicate)
    closest = zip(near.pairs.tolist(), near.similarity.tolist(), strict=True)
    quality = Quality(
        judgements=judgements,
        pairs=tuple(pairs),
        verdict=None if floor is None else verdict(judgements, floor),
        diversity=_diversity(looks, seen, witnesses) if stage.scorers.embedded_by else {},
        twins=tuple(Twins(_name(seen[one]), _name(seen[other]), cosine) for (one, other), cosine in closest),
        alike=near.found,
        blank=tuple(_name(row) for row in there if looks.of[row.image_sha256].blank),
        page=files.url(QUALITY_PAGE),
    )
    curve = curve_of(stage, compiled.document)
    page = _page(stage, compiled, prompts, rows, quality, curve)
    files.write(QUALITY_PAGE, page.encode(), durable=True)
    told = {"scorers": stage.scorers.provenance, "pilot": curve and curve.as_json(), **quality.as_json()}
    files.write(QUALITY, json.dumps(told, indent=1, ensure_ascii=False).encode(), durable=True)
    return quality


def _name(row: ImageRow) -> str:
    return f"{row.prompt_id}/{row.image_index + 1}"


def _diversity(
    looks: Looks, rows: Sequence[ImageRow], pairs: Sequence[tuple[ArmImage, ArmImage]]
) -> dict[str, Diversity]:
    """Of the set's images, and of the shared and the standard ones of the pairs that can be compared."""
    seen = [pair for pair in pairs if all(looks.compares(image.sha256) for image in pair)]
    groups = {
        "set": [row.image_sha256 for row in rows],
        SHARED: [shared.sha256 for shared, _ in seen],
        STANDARD: [standard.sha256 for _, standard in seen],
    }
    return {name: Diversity.of(looks.embeddings(own)) for name, own in groups.items() if len(own) > 1}


def _page(
    stage: Stage,
    compiled: CompiledPlan,
    prompts: PromptSet,
    rows: Sequence[ImageRow],
    quality: Quality,
    curve: PilotCurve | None,
) -> str:
    scoring, sampling = stage.spec.scoring, compiled.document.sampling
    images = {(row.image_path, row.image_sha256) for row in rows if row.image_path}
    images |= {(image.path, image.sha256) for pair in quality.pairs for image in pair.images.values()}
    return render_quality(
        stage.spec.name,
        quality,
        rows,
        gallery=GALLERY,
        table=QUALITY,
        there={*stage.store.files.sizes("images"), *stage.store.files.sizes(FOLDER)},
        thumbnails=thumbnails_of(stage, images),
        image_size=(sampling.width, sampling.height),
        floor=scoring.quality_floor,
        near_duplicate=scoring.near_duplicate if stage.scorers.embedded_by else None,
        pilot=curve,
        offer=None if scoring.baseline_sample else _offer(stage, compiled, prompts),
    )


def _offer(stage: Stage, compiled: CompiledPlan, prompts: PromptSet) -> Offer:
    """What a sample would take that the document does not ask for."""
    evaluations = outstanding(stage, compiled, prompts, _SAMPLE)
    return Offer(min(_SAMPLE, len(compiled.leaf_of)), evaluations, compiled.document.planned)
