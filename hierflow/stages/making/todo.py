"""What is still to be made, read off the store."""

from __future__ import annotations

from collections.abc import Collection

from hierflow.plan.compiled import CompiledPlan
from hierflow.store import SetStore
from hierflow.store.records import Records

ATTEMPTS = 2
"""How often a request tries a partition, or the reports; after that they wait for the next request."""


def todo(
    store: SetStore, compiled: CompiledPlan, records: Records | None = None, *, active: Collection[str] = ()
) -> list[str]:
    """The partitions whose record does not match the plan.

    Args:
        store: the set's store.
        compiled: the plan.
        records: of its partitions; by default as they are now.
        active: keys of partitions that some run is working on; they are left out.
    """
    records = store.records_of(compiled) if records is None else records
    sizes = store.files.sizes("images")
    return [
        partition.key
        for partition in compiled.document.partitions
        if partition.key not in active and not ((record := records.get(partition.slice)) and record.is_whole(sizes))
    ]
