"""Telling an instance what the store holds and it has never heard of, at a cost of 0 evaluations."""

from __future__ import annotations

import dagster as dg

from hierflow.assets.events import adopt
from hierflow.assets.graph import SUBTREE_ASSETS
from hierflow.assets.served_set import ServedSet
from hierflow.assets.subtree_assets import partition_versions
from hierflow.plan.compiled import CompiledPlan
from hierflow.store.records import Records


def adopt_stored(
    instance: dg.DagsterInstance, served: ServedSet, compiled: CompiledPlan, records: Records
) -> list[str]:
    """Report the finished partitions of a plan that the instance lacks; returns the keys of those it lacked.

    `records` are of the plan's partitions.
    """
    versions: dict[str, dict[str, str]] = {asset: {} for asset in SUBTREE_ASSETS}
    for partition in compiled.document.partitions:
        record = records.get(partition.slice)
        if record is not None and record.complete:
            for asset, version in partition_versions(record).items():
                versions[asset][partition.key] = version
    instance.add_dynamic_partitions(served.names.partitions, compiled.document.keys)
    adopted = [
        key
        for asset, found in versions.items()
        for key in adopt(instance, served.key(asset), found, {"evaluations_executed": 0, "adopted": True})
    ]
    return sorted(set(adopted))
