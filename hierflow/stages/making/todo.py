"""What is still to be made, read off the store."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from hierflow.plan.compiled import CompiledPlan
from hierflow.plan.selection import Selected
from hierflow.store import SetStore
from hierflow.store.records import PartitionRecord, Records

ATTEMPTS = 2
"""How often a request tries a partition, or the reports; after that they wait for the next request."""


def todo(
    store: SetStore,
    compiled: CompiledPlan,
    records: Records | None = None,
    *,
    active: Collection[str] = (),
    selected: Selected | None = None,
) -> list[str]:
    """The partitions whose record does not match the plan.

    Args:
        store: the set's store.
        compiled: the plan.
        records: of its partitions; by default as they are now.
        active: keys of partitions that some run is working on; they are left out.
        selected: the prompts whose images count; None for all.
    """
    records = store.records_of(compiled) if records is None else records
    sizes = store.files.sizes("images")
    each = compiled.document.images_per_prompt

    def is_done(key: str, record: PartitionRecord | None) -> bool:
        if selected is None:
            return record is not None and record.is_whole(sizes)
        return _count_images(record, selected.get(key, ()), sizes) == len(selected.get(key, ())) * each

    return [
        partition.key
        for partition in compiled.document.partitions
        if partition.key not in active and not is_done(partition.key, records.get(partition.slice))
    ]


def _count_images(record: PartitionRecord | None, prompt_ids: Collection[str], sizes: Mapping[str, int]) -> int:
    """How many whole images of some prompts a record has."""
    images = record.images if record else ()
    return sum(image.prompt_id in prompt_ids and image.is_whole(sizes) for image in images)
