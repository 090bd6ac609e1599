"""Latents to images: decoding, provenance, scores, and the record that a partition is done."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hierflow.hashing import bytes_digest
from hierflow.images import LIGHT, Thumbnails, encode_png, image_name
from hierflow.models.schedulers import scheduler_name
from hierflow.plan.compiled import CompiledPlan
from hierflow.plan.lanes import Lane
from hierflow.prompts import PromptSet
from hierflow.stages.agreement import check_model
from hierflow.stages.context import Stage
from hierflow.stages.decoding import decode_states
from hierflow.stages.dues import Dues
from hierflow.stages.latents import Denoised, denoise_partition
from hierflow.stages.scores import CHUNK, Unscored, missing_scores
from hierflow.store.records import ImageRecord, PartitionRecord


@dataclass(frozen=True)
class WantedImage:
    """One image a partition must have.

    Attributes:
        row: its row of the prompt set.
        leaf: its prompt's leaf in the tree.
        lane: what makes it.
        record: what is known of it before it is made.
    """

    row: int
    leaf: int
    lane: Lane
    record: ImageRecord


def make_partition(stage: Stage, compiled: CompiledPlan, prompts: PromptSet, key: str) -> PartitionRecord:
    """Denoise, decode and score what partition `key` lacks, and store its record.

    Images that exist and are intact are neither denoised nor decoded again; scores of the same version are not
    computed again. An image whose latents or pixels are not finite fails alone.

    Raises:
        RunError: the plan was made for another model.
    """
    check_model(stage, compiled)
    wanted = list(_wanted(compiled, prompts, key))
    earlier = _earlier_images(stage, compiled, [key])
    made = {(image.record.state, image.record.prompt_id): _intact(stage, earlier, image) for image in wanted}
    missing = [image for image in wanted if made[image.record.state, image.record.prompt_id] is None]
    denoised = denoise_partition(stage, compiled, key, _by_lane(missing))
    try:
        dues = _dues(stage, compiled, prompts, missing)
        for start in range(0, len(missing), CHUNK):
            for image in _decoded(stage, compiled, prompts, denoised, missing[start : start + CHUNK], dues):
                made[image.state, image.prompt_id] = _as_before(earlier, image)
        denoised.watch.lap("decode")
        records = [found for found in made.values() if found is not None]
        scored = _scored(stage, compiled, prompts, records)
        denoised.watch.lap("score")
        record = PartitionRecord(
            key=key,
            slice=compiled.document.partition(key).slice,
            plan=compiled.document.id,
            run=stage.run,
            images=tuple(sorted(scored, key=lambda image: (image.prompt_id, image.image_index))),
            decoder=compiled.document.decoder,
            scorers=dict(compiled.document.scorers),
            planned=compiled.evaluations_of(key),
            executed=denoised.executed,
        )
        stage.store.records.save(record)
        recorded = {(image.state, image.prompt_id) for image in record.images if not image.error}
        denoised.pay(
            dues.paid_by((m.lane, m.leaf) for m in missing if (m.record.state, m.record.prompt_id) in recorded)
        )
    except BaseException as error:
        denoised.close("failed", error=f"{type(error).__name__}: {error}")
        raise
    failed = [image for image in record.images if image.error]
    denoised.close("failed" if failed else "done", error=failed[0].error if failed else "")
    return record


def missing_leaves(stage: Stage, compiled: CompiledPlan, prompts: PromptSet) -> dict[Lane, list[int]]:
    """The prompts (leaves) that lack an image, by the lane that makes it.

    The records and a listing of the files tell; nothing is read.
    """
    return _by_lane(_unmade(stage, compiled, prompts, compiled.document.keys))


def _unmade(stage: Stage, compiled: CompiledPlan, prompts: PromptSet, keys: Collection[str]) -> list[WantedImage]:
    """The images that some partitions lack, by the records and a listing of the files."""
    earlier, sizes = _earlier_images(stage, compiled, keys), stage.store.files.sizes("images")
    missing = []
    for key in keys:
        for image in _wanted(compiled, prompts, key):
            found = earlier.get((image.record.prompt_id, image.record.image_index, image.record.state))
            if found is None or not found.is_whole(sizes):
                missing.append(image)
    return missing


def _by_lane(images: Sequence[WantedImage]) -> dict[Lane, list[int]]:
    """The prompts (leaves) of some images, ascending, by the lane."""
    leaves: dict[Lane, set[int]] = {}
    for image in images:
        leaves.setdefault(image.lane, set()).add(image.leaf)
    return {lane: sorted(own) for lane, own in leaves.items()}


def _wanted(compiled: CompiledPlan, prompts: PromptSet, key: str) -> Iterator[WantedImage]:
    for text in compiled.texts_of(key):
        leaf = compiled.leaf_of[text]
        for row in prompts.rows_of(text):
            for lane in compiled.lanes_of(prompts, row):
                record = ImageRecord(prompts.ids[row], text, lane.image_index, lane.ids.final(leaf))
                yield WantedImage(row, leaf, lane, record)


def _earlier_images(
    stage: Stage, compiled: CompiledPlan, keys: Collection[str]
) -> dict[tuple[str, int, str], ImageRecord]:
    """Images of some partitions, and others, that some run made with today's decoder.

    Scores are kept only where their version is today's. The records of this plan's other partitions are not read, as
    they hold the images of their own slices.
    """
    found = {}
    others = [partition.slice for partition in compiled.document.partitions if partition.key not in keys]
    for record in stage.store.records.all(besides=others):
        if record.decoder != compiled.document.decoder:
            continue
        fresh = {name for name, version in record.scorers.items() if compiled.document.scorers.get(name) == version}
        for image in record.images:
            if not image.error:
                scores = {name: score for name, score in image.scores.items() if name in fresh}
                found[image.prompt_id, image.image_index, image.state] = replace(image, scores=scores)
    return found


def _intact(stage: Stage, earlier: dict[tuple[str, int, str], ImageRecord], image: WantedImage) -> ImageRecord | None:
    found = earlier.get((image.record.prompt_id, image.record.image_index, image.record.state))
    if found is None:
        return None
    try:
        intact = bytes_digest(stage.store.files.read(found.path)) == found.sha256
    except FileNotFoundError:
        return None
    return found if intact else None


def _dues(stage: Stage, compiled: CompiledPlan, prompts: PromptSet, missing: Sequence[WantedImage]) -> Dues:
    """What the images that a partition lacks have to pay, now that all they need is executed."""

    def elsewhere(keys: Collection[str]) -> dict[Lane, npt.NDArray[np.int64]]:
        return _counted(compiled, _unmade(stage, compiled, prompts, keys)) if keys else {}

    return Dues(compiled, stage.store.ledger.entries(), _counted(compiled, missing), elsewhere)


def _counted(compiled: CompiledPlan, images: Sequence[WantedImage]) -> dict[Lane, npt.NDArray[np.int64]]:
    """(N,) for every lane that has any, how many of some images each leaf has."""
    found: dict[Lane, npt.NDArray[np.int64]] = {}
    for image in images:
        none = np.zeros(compiled.planted.tree.leaves, dtype=np.int64)
        found.setdefault(image.lane, none)[image.leaf] += 1
    return found


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

    What had to be executed again is added, if anything had. Other bits are another image, as the history has it: it has
    paid for itself alone.
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

    def lacking(record: ImageRecord) -> tuple[str, ...]:
        return () if record.error else tuple(name for name in compiled.document.scorers if name not in record.scores)

    images = [Unscored(record.path, text_of[record.text], lacking(record)) for record in records]
    found = missing_scores(stage, images)
    return [
        replace(record, scores={**record.scores, **scores}) for record, scores in zip(records, found, strict=True)
    ]
