"""What is still to be made, read off the store."""

from __future__ import annotations

from collections.abc import Collection

from hierflow.plan.compiled import CompiledPlan
from hierflow.store import SetStore

ATTEMPTS = 2
"""How often a request tries a partition, or the reports; after that they wait for the next request."""


def todo(store: SetStore, compiled: CompiledPlan, *, active: Collection[str] = ()) -> list[str]:
    """The partitions whose record does not match the plan.

    Args:
        store: the set's store.
        compiled: the plan.
        active: keys of partitions that some run is working on; they are left out.
    """
    sizes = store.files.sizes("images")
    return [
        partition.key
        for partition in compiled.document.partitions
        if partition.key not in active
        and not ((record := store.records.load(partition.slice)) and record.is_whole(sizes))
    ]
