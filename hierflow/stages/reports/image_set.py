"""Records to an image set: the manifest, the gallery, the history, and what failed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from hierflow.audit.shares import shares
from hierflow.hashing import text_hash
from hierflow.images import (
    Changes,
    ImageRow,
    Saving,
    build_manifest,
    compare,
    history_bytes,
    manifest_bytes,
    read_manifest,
    render_gallery,
)
from hierflow.models.schedulers import scheduler_name
from hierflow.plan.compiled import CompiledPlan
from hierflow.plan.lanes import Lane
from hierflow.prompts import PromptSet
from hierflow.stages.context import Stage
from hierflow.stages.embedding.advice import advice
from hierflow.stages.embedding.left_out import told
from hierflow.stages.making.images import node_path
from hierflow.stages.making.thumbnails import thumbnails_of
from hierflow.stages.making.wanted import images_made
from hierflow.stages.reports.assembly import AUDIT_PAGE
from hierflow.stages.reports.history import HISTORY, HISTORY_PAGE, carry_on, history_page
from hierflow.store.ledger import MEASURED, Entry
from hierflow.store.records import ImageRecord, PartitionRecord

MANIFEST, GALLERY = "manifest.parquet", "gallery.html"


@dataclass(frozen=True)
class AssembledSet:
    """An image set as its manifest has it.

    Attributes:
        rows: a row an image, in the order of the prompts.
        complete: whether every image is current: some run, for whatever plan, made it of the state that is planned.
        manifest, gallery, history: absolute paths or URLs; the history is the page.
        changes: what is other than in the manifest that lay there before; None if there was none, or a damaged one,
            or nothing has been written.
    """

    rows: tuple[ImageRow, ...]
    complete: bool
    manifest: str
    gallery: str
    history: str
    changes: Changes | None = None

    @property
    def current(self) -> int:
        """Images that match the plan."""
        return sum(row.status == "current" for row in self.rows)

    @property
    def is_executed(self) -> bool:
        """Whether every image that the plan has is current, whatever prompts it leaves out."""
        return all(row.status == "current" for row in self.rows if row.is_planned)


def assemble(
    stage: Stage,
    compiled: CompiledPlan,
    prompts: PromptSet,
    quality: str = "",
    entries: Sequence[Entry] | None = None,
) -> AssembledSet:
    """Write manifest, gallery and history from the partition records, whatever has failed.

    Where an image could not be made, or its prompt not be encoded, the prompt's last good one stays, flagged
    `outdated`; where there is none, the row is `failed` and says why. It is `pending` where no run has tried it yet.

    Args:
        stage: the set.
        compiled: its plan.
        prompts: its prompts.
        quality: the quality page, which lies beside the gallery or follows; empty if none does.
        entries: the ledger's; by default as it is now.
    """
    entries = stage.store.ledger.entries() if entries is None else entries
    made = assembled(stage, compiled, prompts, entries)
    rows, axes, files = made.rows, list(prompts.columns), stage.store.files
    changes, notes = _changes(stage, rows)
    if not any(row.image_path for row in rows):
        notes.append("There are no images yet.")
    versions, of_history = carry_on(stage, rows, compiled.document.id, entries, changes)
    document, leaf_of = compiled.document, compiled.leaf_of
    size = (document.sampling.width, document.sampling.height)
    gallery = render_gallery(
        stage.spec.name,
        rows,
        axes,
        _facts(stage, compiled, rows),
        [*told(document.left_out), *advice(stage, prompts), *notes],
        image_size=size,
        thumbnails=thumbnails_of(stage, [(row.image_path, row.image_sha256) for row in rows if row.image_path]),
        changes=changes,
        saving=_saving(stage, compiled, entries),
        plan=compiled.plan,
        leaves=[leaf_of[text_hash(row.prompt)] if row.is_planned else -1 for row in rows],
        labels=compiled.planted.labels,
        history=HISTORY_PAGE,
        quality=quality,
        audit=AUDIT_PAGE,
    )
    history = history_page(stage, versions, of_history, GALLERY, size)
    manifest = manifest_bytes(build_manifest(rows, axes))
    files.write(GALLERY, gallery.encode(), durable=True)
    files.write(HISTORY_PAGE, history.encode(), durable=True)
    # Last, and only once the pages are written: a run that dies before finds what the next one is compared with.
    files.write(HISTORY, history_bytes(versions), durable=True)
    files.write(MANIFEST, manifest, durable=True)
    return replace(made, changes=changes)


def assembled(
    stage: Stage, compiled: CompiledPlan, prompts: PromptSet, entries: Sequence[Entry] | None = None
) -> AssembledSet:
    """What the records say of the set at this moment; nothing is written.

    `entries` are as :func:`assemble` takes them.
    """
    entries = stage.store.ledger.entries() if entries is None else entries
    rows, files = tuple(_rows(stage, compiled, prompts, entries)), stage.store.files
    return AssembledSet(
        rows=rows,
        complete=all(row.status == "current" for row in rows),
        manifest=files.url(MANIFEST),
        gallery=files.url(GALLERY),
        history=files.url(HISTORY_PAGE),
    )


def _rows(stage: Stage, compiled: CompiledPlan, prompts: PromptSet, entries: Sequence[Entry]) -> list[ImageRow]:
    document = compiled.document
    partition_of = compiled.partition_of_text()
    records = stage.store.records_oldest_first(entries)
    made, last_good, refused = images_made(compiled, records), _last_good_images(records), _errors(compiled, records)
    sizes = stage.store.files.sizes("images")
    broke_off = _broke_off(document.id, entries, set(refused.values()))
    planned = _planned_shares(compiled, prompts)
    hash_of = dict(zip(prompts.distinct, prompts.hashes, strict=True))
    rows = []
    for row, (prompt_id, text) in enumerate(zip(prompts.ids, prompts.texts, strict=True)):
        hashed, refusal = hash_of[text], document.left_out.get(prompt_id, "")
        variant = document.variant_of(prompts.settings_of(row))
        partition, leaf = ("", -1) if refusal else (partition_of[hashed], compiled.leaf_of[hashed])
        path = "" if refusal else node_path(compiled, leaf)
        for index in range(document.images_per_prompt):
            lane = None if refusal else compiled.lane(variant, index)
            wanted = made.get((prompt_id, index, lane.ids.final(leaf))) if lane else None
            failure = refusal or refused.get((prompt_id, index), "")
            is_current = wanted is not None and not failure and wanted.is_whole(sizes)
            image = wanted if is_current else last_good.get((prompt_id, index))
            image = image if image and image.is_whole(sizes) else None
            failure = failure or ("" if is_current else broke_off.get(partition, ""))
            rows.append(
                ImageRow(
                    prompt_id=prompt_id,
                    image_index=index,
                    prompt=text,
                    axes={name: column[row] for name, column in prompts.columns.items()},
                    variant=variant,
                    negative_prompt=variant.negative_prompt or document.negative_prompt,
                    partition=partition,
                    node_path=path,
                    image_path=image.path if image else "",
                    image_sha256=image.sha256 if image else "",
                    evaluations=planned[lane][leaf] if lane else 0.0,
                    evaluations_paid=image.paid if image else 0.0,
                    run_id=image.run if image else "",
                    scores=dict(image.scores) if image else {},
                    status="current" if is_current else "outdated" if image else "failed" if failure else "pending",
                    error="" if is_current else failure or (_LOST if wanted else _PENDING),
                    is_pending=not (is_current or failure),
                )
            )
    return rows


_PENDING, _LOST = "it has not been made yet", "its file is gone or damaged; the next run decodes it again"
"""Why images lack for which nothing has failed."""


def _broke_off(plan: str, entries: Sequence[Entry], of_images: Collection[str]) -> dict[str, str]:
    """Why the last run of a plan to end on a partition did not make it, by the partition, where one did not.

    What only single images failed with (`of_images`) is no reason for the others.
    """
    found: dict[str, str] = {}
    for entry in entries:
        if (entry.stage, entry.plan) == ("partition", plan) and entry.status != "lost":
            found[entry.partition] = "" if entry.error in of_images else entry.error
    return found


def _errors(compiled: CompiledPlan, records: Sequence[PartitionRecord]) -> dict[tuple[str, int], str]:
    """Why images that failed by themselves did, by the records of a plan's own partitions."""
    slices = {partition.slice for partition in compiled.document.partitions}
    images = (image for record in records if record.slice in slices for image in record.images)
    return {(image.prompt_id, image.image_index): image.error for image in images if image.error}


def _last_good_images(records: Sequence[PartitionRecord]) -> dict[tuple[str, int], ImageRecord]:
    """The most recent image of every prompt id, of whatever plan, by the records, oldest first."""
    found: dict[tuple[str, int], ImageRecord] = {}
    for record in records:
        found |= {(image.prompt_id, image.image_index): image for image in record.images if not image.error}
    return found


def _planned_shares(compiled: CompiledPlan, prompts: PromptSet) -> dict[Lane, dict[int, float]]:
    """The evaluations planned for one image of each prompt (leaf), by the lane; all images sum to the plan."""
    plan = compiled.plan
    steps = (plan.last - plan.first + 1).astype(float)
    found = {}
    for lane, images in compiled.images_of(prompts, compiled.lanes):
        own = dict(zip(lane.segments.tolist(), steps[lane.segments].tolist(), strict=True))
        found[lane] = dict(zip(lane.leaves.tolist(), shares(plan, own, images)[lane.leaves].tolist(), strict=True))
    return found


def _changes(stage: Stage, rows: Sequence[ImageRow]) -> tuple[Changes | None, list[str]]:
    """What differs from the manifest that is still there, and what the reader must know about that."""
    try:
        data = stage.store.files.read(MANIFEST)
    except FileNotFoundError:
        return None, []
    try:
        return compare(read_manifest(data), rows), []
    except ValueError as error:
        stage.say(f"{error}; it is written anew, and what has changed since cannot be told")
        return None, ["The last manifest was damaged, so what this run changed cannot be told."]


def _saving(stage: Stage, compiled: CompiledPlan, entries: Sequence[Entry]) -> Saving:
    """What sharing saves, with what the last run executed; a run that only assembles cannot tell which that was."""
    document = compiled.document
    own = [entry for entry in entries if entry.invocation == stage.invocation]
    known = bool(own) or stage.invocation != stage.run
    counted = own if known else [entry for entry in entries if entry.plan == document.id]
    executed = sum(entry.evaluations for entry in counted if entry.stage != MEASURED)
    return Saving(document.standard, document.planned, executed, by_last_run=known)


def _facts(stage: Stage, compiled: CompiledPlan, rows: Sequence[ImageRow]) -> list[tuple[str, str]]:
    document, sampling = compiled.document, compiled.document.sampling
    sampler = scheduler_name(sampling.scheduler)
    return [
        ("images", f"{sum(row.status == 'current' for row in rows):,} of {len(rows):,}"),
        ("model", stage.spec.diffusion.model),
        ("sampling", f"{document.steps} steps, {sampler}, guidance {sampling.guidance_scale:g}"),
        ("sharing", f"tau {document.tau:g}, {compiled.planted.tree.linkage} linkage"),
        ("partitions", str(len(document.partitions))),
    ]
