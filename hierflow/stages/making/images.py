"""Latents to images: decoding, provenance, scores, and the record that a partition is done."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hierflow.hashing import bytes_digest
from hierflow.images import LIGHT, Thumbnails, encode_png, image_name
from hierflow.models.schedulers import scheduler_name
from hierflow.plan.compiled import CompiledPlan
from hierflow.plan.lanes import Lane
from hierflow.plan.selection import Selected
from hierflow.prompts import PromptSet
from hierflow.stages.context import Stage
from hierflow.stages.making.agreement import check_model
from hierflow.stages.making.decoding import decode_states
from hierflow.stages.making.dues import Dues
from hierflow.stages.making.latents import Denoised, denoised_partition
from hierflow.stages.making.scores import CHUNK, Unscored, missing_scores
from hierflow.stages.making.wanted import (
    WantedImage,
    by_lane,
    counted,
    earlier_images,
    is_selected,
    unmade,
    wanted_images,
)
from hierflow.store.records import ImageRecord, PartitionRecord


def make_partition(
    stage: Stage, compiled: CompiledPlan, prompts: PromptSet, key: str, selected: Selected | None = None
) -> PartitionRecord:
    """Denoise, decode and score what partition `key` lacks, and store its record.

    Images that exist and are intact are neither denoised nor decoded again; scores of the same version are not
    computed again. An image whose latents or pixels are not finite fails alone. The record is stored chunk by chunk,
    so that a run that breaks off loses one chunk of decoding and scoring at most.

    With `selected` prompts only theirs are made, and the record counts the others as unmade.

    Raises:
        RunError: the plan was made for another model.
    """
    check_model(stage, compiled)
    wanted = list(wanted_images(compiled, prompts, key))
    earlier = earlier_images(stage, compiled, [key], stage.store.ledger.entries())
    there = {image: _intact(stage, earlier, image) for image in wanted}
    asked = {image for image in wanted if is_selected(image, key, selected)}
    missing = [image for image in wanted if there[image] is None]
    with denoised_partition(
        stage, compiled, key, by_lane([image for image in missing if image in asked])
    ) as denoised:
        booking = denoised.booking
        booking.watch.go_on("decode")
        dues = _dues(stage, compiled, prompts, missing, asked)
        booking.counts["lent"] = dues.lent
        unfinished = [image for image in wanted if (found := there[image]) is None or _lacking(compiled, found)]
        todo = [image for image in unfinished if image in asked]
        for done, chunk in _chunks(todo):
            new = [image for image in chunk if there[image] is None]
            decoded = list(_decoded(stage, compiled, prompts, denoised, new, dues))
            there |= {image: _as_before(earlier, made) for image, made in zip(new, decoded, strict=True)}
            booking.watch.go_on("score")
            scored = _scored(stage, compiled, prompts, [found for image in chunk if (found := there[image])])
            there |= dict(zip(chunk, scored, strict=True))
            booking.watch.go_on("decode")
            images = [found for found in there.values() if found]
            record = _record(stage, compiled, key, images, denoised, len(unfinished) - done)
            stage.store.records.save(record)
            payers = [image for image, made in zip(new, decoded, strict=True) if not made.error]
            booking.pay(dues.paid_by((image.lane, image.leaf) for image in payers))
        booking.error = next((image.error for image in record.images if image.error), "")
    return record


def _record(
    stage: Stage, compiled: CompiledPlan, key: str, images: Sequence[ImageRecord], denoised: Denoised, unmade: int
) -> PartitionRecord:
    document = compiled.document
    return PartitionRecord(
        key=key,
        slice=document.partition(key).slice,
        plan=document.id,
        run=stage.run,
        images=tuple(sorted(images, key=lambda image: (image.prompt_id, image.image_index))),
        decoder=document.decoder,
        scorers=dict(document.scorers),
        planned=compiled.evaluations_of(key),
        executed=denoised.executed,
        unmade=unmade,
    )


def _chunks(images: Sequence[WantedImage]) -> Iterator[tuple[int, Sequence[WantedImage]]]:
    """The images, :data:`CHUNK` at a time, and how many it is with each; one empty chunk if there are none."""
    for start in range(0, len(images) or 1, CHUNK):
        chunk = images[start : start + CHUNK]
        yield start + len(chunk), chunk


def _lacking(compiled: CompiledPlan, image: ImageRecord) -> tuple[str, ...]:
    """The scores of the plan that an image lacks."""
    return () if image.error else tuple(name for name in compiled.document.scorers if name not in image.scores)


def _intact(stage: Stage, earlier: dict[tuple[str, int, str], ImageRecord], image: WantedImage) -> ImageRecord | None:
    found = earlier.get((image.record.prompt_id, image.record.image_index, image.record.state))
    if found is None:
        return None
    try:
        intact = bytes_digest(stage.store.files.read(found.path)) == found.sha256
    except FileNotFoundError:
        return None
    return found if intact else None


def _dues(
    stage: Stage,
    compiled: CompiledPlan,
    prompts: PromptSet,
    missing: Sequence[WantedImage],
    asked: Collection[WantedImage],
) -> Dues:
    """What the images that a partition lacks have to pay, now that all that those asked for need is executed.

    The others are made later, and pay their share then.
    """
    entries, later = stage.store.ledger.entries(), [image for image in missing if image not in asked]

    def elsewhere(keys: Collection[str]) -> dict[Lane, npt.NDArray[np.int64]]:
        further = unmade(stage, compiled, prompts, keys, entries) if keys else []
        return counted(compiled, [*later, *further])

    return Dues(compiled, entries, counted(compiled, [image for image in missing if image in asked]), elsewhere)


def _decoded(
    stage: Stage,
    compiled: CompiledPlan,
    prompts: PromptSet,
    denoised: Denoised,
    images: Sequence[WantedImage],
    dues: Dues,
) -> Iterator[ImageRecord]:
    """Decode and write some images; those that there is nothing to see of come back with their error."""
    thumbnails = Thumbnails(stage.store.files)
    decoded = decode_states(stage, denoised, [(image.record.state, image.lane.variant) for image in images])
    for image, pixels in zip(images, decoded, strict=True):
        if isinstance(pixels, str):
            yield replace(image.record, run=stage.run, error=pixels)
            continue
        png = encode_png(pixels, _provenance(stage, compiled, prompts, image))
        name = image_name(image.record.prompt_id, image.record.state, image.record.image_index)
        path = f"images/{compiled.document.decoder[:8]}/{name}"
        # Durable: the record that follows says the file is whole, and nobody looks inside it again.
        stage.store.files.write(path, png, durable=True)
        sha256 = bytes_digest(png)
        if len(png) > LIGHT:
            thumbnails.keep(sha256, pixels)
        paid = dues.of(image.lane, image.leaf)
        yield replace(image.record, path=path, sha256=sha256, size=len(png), run=stage.run, paid=paid)


def _as_before(earlier: dict[tuple[str, int, str], ImageRecord], image: ImageRecord) -> ImageRecord:
    """An image that was lost and made again, bit for bit the same, keeps who made it and what was paid for it.

    What had to be executed again is added, if anything had. Other bits are another image, as the history has it: it
    has paid for itself alone.
    """
    found = earlier.get((image.prompt_id, image.image_index, image.state))
    if found is None or found.sha256 != image.sha256:
        return image
    return replace(image, paid=found.paid + image.paid, run=found.run)


def _provenance(stage: Stage, compiled: CompiledPlan, prompts: PromptSet, image: WantedImage) -> dict[str, Any]:
    document, variant = compiled.document, image.lane.variant
    negative = document.negative_prompt if variant.negative_prompt is None else variant.negative_prompt
    return {
        "set": stage.spec.name,
        "prompt_id": image.record.prompt_id,
        "prompt": prompts.texts[image.row],
        "image_index": image.record.image_index,
        **({"negative_prompt": negative} if negative else {}),
        "seed": variant.seed,
        "steps": document.steps,
        "guidance_scale": document.sampling.guidance_scale,
        "scheduler": scheduler_name(document.sampling.scheduler),
        "model": stage.spec.diffusion.model,
        "model_fingerprint": document.sampling.denoiser,
        "encoder_fingerprint": document.encoder,
        "tau": document.tau,
        "linkage": compiled.planted.tree.linkage,
        "clustered_by": compiled.planted.clustering.name,
        "node_path": node_path(compiled, image.leaf),
        "state_id": image.record.state,
    }


def node_path(compiled: CompiledPlan, leaf: int) -> str:
    """The nodes that served a prompt and their steps, such as `398@1-7/391@8-21/12@22-40`.

    Nodes are called by their labels, which stay what they are whatever is grafted.
    """
    plan, runs = compiled.plan, list[tuple[int, int, int]]()
    for segment in plan.path(leaf):
        label = int(compiled.planted.labels[plan.nodes[segment]])
        first, last = int(plan.first[segment]), int(plan.last[segment])
        if runs and runs[-1][0] == label:  # a graft has left here
            first = runs.pop()[1]
        runs.append((label, first, last))
    return "/".join(f"{label}@{first}-{last}" for label, first, last in runs)


def _scored(
    stage: Stage, compiled: CompiledPlan, prompts: PromptSet, records: Sequence[ImageRecord]
) -> list[ImageRecord]:
    """The records with every score of the plan's scorers."""
    text_of = dict(zip(prompts.hashes, prompts.distinct, strict=True))

    images = [Unscored(record.path, text_of[record.text], _lacking(compiled, record)) for record in records]
    found = missing_scores(stage, images)
    return [
        replace(record, scores={**record.scores, **scores}) for record, scores in zip(records, found, strict=True)
    ]
