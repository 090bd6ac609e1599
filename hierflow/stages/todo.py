"""What is still to be made, read off the store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from hierflow.store import SetStore
from hierflow.store.plans import CompiledPlan
from hierflow.store.records import PartitionRecord

ATTEMPTS = 2
"""How often a partition may fail on one plan before nobody tries it by itself any more."""


def todo(store: SetStore, compiled: CompiledPlan, *, active: Collection[str] = (), give_up: bool = True) -> list[str]:
    """The partitions whose record does not match the plan.

    Args:
        store: the set's store.
        compiled: the plan.
        active: keys of partitions that some run is working on; they are left out.
        give_up: leave out partitions that failed :data:`ATTEMPTS` times on this plan.
    """
    failures: Counter[str] = Counter()
    if give_up:
        failures.update(
            entry.slice
            for entry in store.ledger.entries()
            if entry.status == "failed" and entry.plan == compiled.document.id
        )
    sizes = store.files.sizes("images")
    return [
        partition.key
        for partition in compiled.document.partitions
        if partition.key not in active
        and failures[partition.slice] < ATTEMPTS
        and not _done(store.records.load(partition.slice), sizes)
    ]


def _done(record: PartitionRecord | None, sizes: Mapping[str, int]) -> bool:
    return record is not None and all(image.is_whole(sizes) for image in record.images)
