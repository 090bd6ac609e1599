"""The one place that reaches past Dagster's documented surface.

`denoising_plan` is partitioned, but it is the tree's one op that plans all partitions; its events are logged from
there, each with the data version of its slice, so that a partition goes stale only if its own slice has changed.
And what the store holds but an instance has never heard of (the set was made elsewhere, or the event log is new) is
reported to it without a run.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_TAG

RUNNING = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)


def materialization(
    key: dg.AssetKey, partition: str | None, version: str, metadata: Mapping[str, Any]
) -> dg.AssetMaterialization:
    """An event that gives an asset, or a partition of it, a data version."""
    return dg.AssetMaterialization(
        key, partition=partition, metadata=dict(metadata), tags={DATA_VERSION_TAG: version}
    )


def observation(key: dg.AssetKey, version: str) -> dg.AssetObservation:
    """An event that says which data version a source has."""
    return dg.AssetObservation(key, tags={DATA_VERSION_TAG: version})


def known_versions(instance: dg.DagsterInstance, key: dg.AssetKey, partitions: Sequence[str]) -> dict[str, str]:
    """The latest data version of each partition the instance has an event for."""
    if not partitions:
        return {}
    tags = instance.event_log_storage.get_latest_tags_by_partition(
        key, dg.DagsterEventType.ASSET_MATERIALIZATION, [DATA_VERSION_TAG], asset_partitions=list(partitions)
    )
    return {partition: found[DATA_VERSION_TAG] for partition, found in tags.items() if DATA_VERSION_TAG in found}


def adopt(
    instance: dg.DagsterInstance, key: dg.AssetKey, versions: Mapping[str, str], metadata: Mapping[str, Any]
) -> list[str]:
    """Report to the instance those partitions whose version it does not have; returns them."""
    known = known_versions(instance, key, list(versions))
    missing = [partition for partition, version in versions.items() if known.get(partition) != version]
    for partition in missing:
        instance.report_runless_asset_event(materialization(key, partition, versions[partition], metadata))
    return missing


def backfill_of(instance: dg.DagsterInstance, keys: Collection[dg.AssetKey]) -> str | None:
    """The id of a backfill that is at work on any of the assets `keys`, if there is one."""
    from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus

    at_work = [BulkActionStatus.REQUESTED, BulkActionStatus.CANCELING, BulkActionStatus.FAILING]
    for backfill in instance.get_backfills(BulkActionsFilter(statuses=at_work)):
        if set(backfill.asset_selection or ()) & set(keys):
            return str(backfill.backfill_id)
    return None


def last_event_time(instance: dg.DagsterInstance, run_id: str) -> float:
    """When a run logged its last event, in seconds since the epoch; its creation where it has logged none."""
    if records := instance.get_records_for_run(run_id, limit=1, ascending=False).records:
        return float(records[0].timestamp)
    record = instance.get_run_record_by_id(run_id)
    return record.create_timestamp.timestamp() if record else 0.0


def free_pool_slots(instance: dg.DagsterInstance, run_id: str) -> None:
    """Give back the slots of concurrency pools that a dead run holds."""
    if instance.event_log_storage.supports_global_concurrency_limits:
        instance.event_log_storage.free_concurrency_slots_for_run(run_id)
