"""What nothing live needs any more, and removing it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hierflow.errors import InputError, RunError
from hierflow.hashing import text_hash
from hierflow.images import ImageRow, read_manifest
from hierflow.plan.compiled import CompiledPlan
from hierflow.prompts import PromptSet
from hierflow.stages.context import Stage
from hierflow.stages.embedding.embeddings import OF_NOTHING, negative_encoder
from hierflow.stages.quality.baselines import policy_of
from hierflow.stages.reports.image_set import MANIFEST, assembled
from hierflow.store.ledger import Entry
from hierflow.store.plans import LostPlanError
from hierflow.store.records import ImageRecord
from hierflow.store.storage import DamagedFileError

_FILES = {
    "records": re.compile(r"records/([0-9a-f]{64})\.json"),
    "images": re.compile(r"(images/[^/]+/[^/]+-[0-9a-f]{12}-\d+\.png)"),
    "baselines": re.compile(r"(baselines/[^/]+/[0-9a-f]{64}\.png)"),
    "pilots": re.compile(r"pilots/([0-9a-f]{32})\.json"),
    "thumbnails": re.compile(r"thumbnails/\d+/([0-9a-f]{32})-\d+\.webp"),
    "plans": re.compile(r"plans/([0-9a-f]{64})\.(?:json|png)"),
    "trees": re.compile(r"trees/([0-9a-f]{64})\.safetensors"),
    "prompt sets": re.compile(r"prompts/([0-9a-f]{64})\.parquet"),
    "conditioning": re.compile(r"((?:conditioning|embeddings)/[^/]+/[0-9a-f]{32}\.safetensors)"),
    "states": re.compile(r"states/[0-9a-f]{2}/([0-9a-f]{64})\.safetensors"),
    "heartbeats": re.compile(r"(heartbeats/[^/]+\.json)"),
}
"""The files that may go and what names each, in the order in which they go: what names others before those.

A file of any other name is not the set's own, or is kept for ever, as ledger and history are.
"""
_DRAFTS = "unfinished writes"


@dataclass(frozen=True)
class Waste:
    """What nothing live needs.

    Attributes:
        files: the bytes of every such file by its path, by kind, in the order in which they may go.
        keys: partition keys of earlier trees.
    """

    files: Mapping[str, Mapping[str, int]]
    keys: tuple[str, ...]


def find_waste(stage: Stage) -> Waste:
    """What can go. The following stays: the current plan, its tree and its prompts; the conditioning of every text in
    the tree, retired ones included, as means are made of them; the states on the paths of live prompts; the images of
    the manifest with their thumbnails, and the records they are in; what the present way of making images is compared
    with, and what its tau was found by; ledger and history.

    Raises:
        InputError: the set has never been run.
        RunError: plan, tree or prompts are not intact, so that nobody can tell what is needed.
    """
    try:
        compiled = stage.store.plans.current()
        prompts = stage.store.prompts.load(compiled.document.prompts) if compiled else None
    except LostPlanError as error:
        raise RunError(f"what the set needs cannot be told: {error}") from error
    except (FileNotFoundError, DamagedFileError) as error:
        raise RunError(f"what the set needs cannot be told ({error}); run it, then prune") from error
    if compiled is None or prompts is None:
        raise InputError(
            "has not been run yet, so there is nothing to prune",
            field="name",
            value=stage.spec.name,
            remedy="run it first: hierflow run SPEC",
        )
    needed = _needed(stage, compiled, prompts)
    found: dict[str, dict[str, int]] = {kind: {} for kind in _FILES}
    for path, size in sorted(stage.store.files.sizes().items()):
        for kind, pattern in _FILES.items():
            if (name := pattern.fullmatch(path)) and name[1] not in needed[kind]:
                found[kind][path] = size
    document = compiled.document
    dormant = {partition.key for partition in document.dormant}
    keys = tuple(key for key in document.tombstones if key not in dormant)
    return Waste({**found, _DRAFTS: stage.store.files.drafts()}, keys)


def remove(stage: Stage, waste: Waste) -> None:
    """Delete the files of `waste`. Wherever this breaks off, what is left can be pruned, and nothing names what is
    gone.
    """
    for paths in waste.files.values():
        for path in paths:
            stage.store.files.delete(path)


def _needed(stage: Stage, compiled: CompiledPlan, prompts: PromptSet) -> dict[str, set[str]]:
    """The names of the files of each kind that stay."""
    document, planted, entries = compiled.document, compiled.planted, stage.store.ledger.entries()
    rows = assembled(stage, compiled, prompts, entries).rows
    records, images = _pictures(stage, compiled, rows, entries)
    negatives = {planned.variant.negative_prompt for planned in document.variants} - {None}
    held = [(stage.store.conditioning(planted.encoder), set(planted.texts))]
    held += [(stage.store.conditioning(negative_encoder(stage, str(text))), {OF_NOTHING}) for text in negatives]
    held += [(stage.store.embeddings(planted.clustering.fingerprint or planted.encoder), set(planted.texts))]
    policy = policy_of(compiled)
    compared = [image for pair in stage.store.pairs.load() if pair.policy == policy for image in pair.images.values()]
    return {
        "records": records,
        "images": set(images),
        "baselines": {image.path for image in compared},
        "pilots": {document.pilot},
        "thumbnails": {sha256[:32] for sha256 in (*images.values(), *(image.sha256 for image in compared))},
        "plans": {document.id},
        "trees": {document.tree},
        "prompt sets": {document.prompts, *_current_prompts(stage)},
        "conditioning": {path for cache, texts in held for path, own in cache.shards().items() if texts & set(own)},
        "states": {state for lane in compiled.lanes for state in lane.states},
        "heartbeats": set(),  # killed runs left them; one that lives writes its own again
    }


def _current_prompts(stage: Stage) -> list[str]:
    """The prompts that were expanded last; a run that was killed may not have planned for them yet."""
    try:
        return [stage.store.prompts.current().content_hash]
    except (FileNotFoundError, DamagedFileError):
        return []


def _pictures(
    stage: Stage, compiled: CompiledPlan, rows: Sequence[ImageRow], entries: Sequence[Entry]
) -> tuple[set[str], dict[str, str]]:
    """The slices of the records that stay, and the checksums of the images that stay, by path.

    Beside the current plan's own records those stay that tell last of an image that is wanted, for whatever plan it
    was made, and those of the last good image where what is wanted has not been made yet.
    """
    slices = {partition.slice for partition in compiled.document.partitions}
    wanted = {(row.prompt_id, row.image_index): _wanted(compiled, row) for row in rows}
    images = {row.image_path: row.image_sha256 for row in rows} | _shown(stage)
    unmade = {(row.prompt_id, row.image_index) for row in rows if row.status != "current"}
    last: dict[tuple[str, int, bool], tuple[str, ImageRecord]] = {}
    for record in stage.store.records_oldest_first(entries):
        for image in record.images:
            key = (image.prompt_id, image.image_index)
            if record.slice in slices:
                images[image.path] = image.sha256
            if not image.error and image.state == wanted.get(key) and record.decoder == compiled.document.decoder:
                last[*key, True] = record.slice, image
            if not image.error and key in unmade:
                last[*key, False] = record.slice, image
    for slice_, image in last.values():
        slices.add(slice_)
        images[image.path] = image.sha256
    return slices, images


def _wanted(compiled: CompiledPlan, row: ImageRow) -> str:
    """The state that an image is to be decoded from; empty where the plan leaves its prompt out."""
    return compiled.final(text_hash(row.prompt), row.variant, row.image_index) if row.is_planned else ""


def _shown(stage: Stage) -> dict[str, str]:
    """The images of the manifest as it lies there."""
    try:
        data = stage.store.files.read(MANIFEST)
    except FileNotFoundError:
        return {}
    try:
        manifest = read_manifest(data)
    except ValueError:
        return {}
    paths, sums = (manifest.column(name).to_pylist() for name in ("image_path", "image_sha256"))
    return dict(zip(paths, sums, strict=True))
