"""The images that partitions must have, and which of them they lack."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from hierflow.plan.compiled import CompiledPlan
from hierflow.plan.lanes import Lane
from hierflow.plan.selection import Selected
from hierflow.prompts import PromptSet
from hierflow.stages.context import Stage
from hierflow.store.ledger import Entry
from hierflow.store.records import ImageRecord, PartitionRecord


@dataclass(frozen=True, eq=False)
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


def unmade(
    stage: Stage,
    compiled: CompiledPlan,
    prompts: PromptSet,
    keys: Collection[str],
    entries: Sequence[Entry],
    selected: Selected | None = None,
) -> list[WantedImage]:
    """The images that some partitions lack, of all prompts or of the selected ones. `entries` are the ledger's.

    The records and a listing of the files tell; no image is read.
    """
    earlier, sizes = earlier_images(stage, compiled, keys, entries), stage.store.files.sizes("images")
    missing = []
    for key in keys:
        for image in wanted_images(compiled, prompts, key):
            if not is_selected(image, key, selected):
                continue
            found = earlier.get((image.record.prompt_id, image.record.image_index, image.record.state))
            if found is None or not found.is_whole(sizes):
                missing.append(image)
    return missing


def is_selected(image: WantedImage, key: str, selected: Selected | None) -> bool:
    """Whether an image of partition `key` is one of a selected prompt; all are if `selected` is None."""
    return selected is None or image.record.prompt_id in selected.get(key, ())


def by_lane(images: Sequence[WantedImage]) -> dict[Lane, list[int]]:
    """The prompts (leaves) of some images, ascending, by the lane."""
    leaves: dict[Lane, set[int]] = {}
    for image in images:
        leaves.setdefault(image.lane, set()).add(image.leaf)
    return {lane: sorted(own) for lane, own in leaves.items()}


def wanted_images(compiled: CompiledPlan, prompts: PromptSet, key: str) -> Iterator[WantedImage]:
    """The images that partition `key` must have."""
    for text in compiled.texts_of(key):
        leaf = compiled.leaf_of[text]
        for row in prompts.rows_of(text):
            for lane in compiled.lanes_of(prompts, row):
                record = ImageRecord(prompts.ids[row], text, lane.image_index, lane.ids.final(leaf))
                yield WantedImage(row, leaf, lane, record)


def earlier_images(
    stage: Stage, compiled: CompiledPlan, keys: Collection[str], entries: Sequence[Entry]
) -> dict[tuple[str, int, str], ImageRecord]:
    """Images of some partitions, and others, as :func:`images_made` tells of them.

    The records of this plan's other partitions are not read, as they hold the images of their own slices. `entries`
    are the ledger's.
    """
    others = [partition.slice for partition in compiled.document.partitions if partition.key not in keys]
    return images_made(compiled, stage.store.records_oldest_first(entries, besides=others))


def images_made(
    compiled: CompiledPlan, records: Iterable[PartitionRecord]
) -> dict[tuple[str, int, str], ImageRecord]:
    """The images that some run made with today's decoder, by prompt id, image index and state.

    For which plan a run made them has no say: an image of the state that is planned is the one that is wanted,
    provided that its file is whole. Of an image that several records have the latest holds, with the scores that any
    of them has for the same file. Scores are kept only where their version is today's.

    Args:
        compiled: today's plan.
        records: oldest first.
    """
    found: dict[tuple[str, int, str], ImageRecord] = {}
    for record in records:
        if record.decoder != compiled.document.decoder:
            continue
        fresh = {name for name, version in record.scorers.items() if compiled.document.scorers.get(name) == version}
        for image in record.images:
            if not image.error:
                key = (image.prompt_id, image.image_index, image.state)
                scores = {name: score for name, score in image.scores.items() if name in fresh}
                if (before := found.get(key)) and before.sha256 == image.sha256:
                    scores = {**before.scores, **scores}
                found[key] = replace(image, scores=scores)
    return found


def counted(compiled: CompiledPlan, images: Sequence[WantedImage]) -> dict[Lane, npt.NDArray[np.int64]]:
    """(N,) for every lane that has any, how many of some images each leaf has."""
    found: dict[Lane, npt.NDArray[np.int64]] = {}
    for image in images:
        if image.lane not in found:
            found[image.lane] = np.zeros(compiled.planted.tree.leaves, dtype=np.int64)
        found[image.lane][image.leaf] += 1
    return found
