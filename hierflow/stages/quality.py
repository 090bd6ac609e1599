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
from hierflow.scoring.pair import SHARED
from hierflow.scoring.quality import Diversity, Quality, Twins
from hierflow.stages.arm_images import FOLDER
from hierflow.stages.arms import STANDARD
from hierflow.stages.assembly import QUALITY, QUALITY_PAGE
from hierflow.stages.baselines import measure, outstanding, whole
from hierflow.stages.context import Stage
from hierflow.stages.image_set import GALLERY
from hierflow.stages.looks import looks_of
from hierflow.stages.thumbnails import thumbnails_of

_SAMPLE = 64
"""A start for `scoring.baseline_sample`, as its description says."""


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
        diversity={name: Diversity.of(embedded) for name, embedded in groups.items() if len(embedded) > 1},
        twins=tuple(Twins(names[one], names[other], cosine) for (one, other), cosine in alike),
        blank=tuple(name for name, blank in zip(names, looks.blank[: len(there)], strict=True) if blank),
        page=files.url(QUALITY_PAGE),
    )
    files.write(QUALITY_PAGE, _page(stage, compiled, prompts, rows, quality).encode(), durable=True)
    told = {"scorers": stage.scorers.provenance, **quality.as_json()}
    files.write(QUALITY, json.dumps(told, indent=1, ensure_ascii=False).encode(), durable=True)
    return quality


def _page(
    stage: Stage, compiled: CompiledPlan, prompts: PromptSet, rows: Sequence[ImageRow], quality: Quality
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
        offer=None if scoring.baseline_sample else _offer(stage, compiled, prompts),
    )


def _offer(stage: Stage, compiled: CompiledPlan, prompts: PromptSet) -> Offer:
    """What a sample would take that the document does not ask for."""
    evaluations = outstanding(stage, compiled, prompts, _SAMPLE)
    return Offer(min(_SAMPLE, len(prompts.distinct)), evaluations, compiled.document.planned)
