"""A backfill, and a range of partitions in one run: made, told of with versions of their own, and waited for."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from hierflow.assets.continuation import next_step
from hierflow.assets.graph import SUBTREE_ASSETS
from hierflow.assets.liveness import active_partitions
from hierflow.assets.names import SET_TAG
from hierflow_tests.assets.dagster_sets import NAMES, Served
from hierflow_tests.image_sets import FOUR, write_document


def ends(first: str, last: str) -> dict[str, str]:
    """The tags of a run of a range of partitions; a backfill launches each partition with such."""
    return {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}


@pytest.fixture
def served(tmp_path: Path) -> Served:
    """Four prompts in four partitions, planned."""
    served = Served(write_document(tmp_path, sharing={"tau": 0.0}, partitions={"max_prompts": 1}))
    assert served.execute(NAMES.plan_job).success
    assert len(served.partitions) == len(FOUR)
    return served


def materialize(served: Served, first: str, last: str) -> dg.ExecuteInProcessResult:
    """A run of the three assets outside the set's jobs, as a backfill launches it."""
    return dg.materialize(
        list(served.definitions.assets or ()),
        selection=[served.served.key(asset) for asset in SUBTREE_ASSETS],
        instance=served.instance,
        tags=ends(first, last),
        raise_on_error=False,
    )


def made_of(served: Served) -> set[str]:
    """The partitions that the store holds whole."""
    store = served.served.stage("r", "i").store
    plan = store.plans.current()
    assert plan is not None
    return {partition.key for partition in plan.document.partitions if partition.slice in store.records_of(plan)}


def test_the_one_partition_that_a_backfill_names_as_a_range_is_made(served: Served) -> None:
    key = served.partitions[1]
    assert materialize(served, key, key).success
    assert made_of(served) == {key}
    for asset in SUBTREE_ASSETS:
        assert set(served.versions(asset)) == {key}
    assert served.metadata("images")["dagster/row_count"] == 1


def test_a_run_of_a_range_makes_each_partition_under_its_own_version(served: Served, tmp_path: Path) -> None:
    first, second, third, _ = served.partitions
    assert materialize(served, first, third).success
    assert made_of(served) == {first, second, third}
    ranged = {asset: served.versions(asset) for asset in SUBTREE_ASSETS}
    for key in (first, second, third):
        assert served.execute(NAMES.subtree_job, key).success
    assert {asset: served.versions(asset) for asset in SUBTREE_ASSETS} == ranged
    assert len(set(ranged["images"].values())) == 3


def test_what_a_backfill_has_made_is_not_made_again(served: Served) -> None:
    for key in served.partitions:
        assert materialize(served, key, key).success
    step = next_step(served.instance, served.served)
    assert (step.partitions, step.finish) == ((), 1)


def at_work(served: Served, first: str, last: str) -> dg.DagsterRun:
    """A run of a range of partitions that has begun and not ended."""
    tags = {SET_TAG: "trial", **ends(first, last)}
    run = dg.DagsterRun("__ASSET_JOB", status=dg.DagsterRunStatus.STARTED, tags=tags)
    served.instance.add_run(run)
    return run


def test_the_one_partition_of_a_backfill_at_work_is_waited_for_and_no_other(served: Served) -> None:
    first, *others = served.partitions
    run = at_work(served, first, first)
    assert active_partitions(served.instance, served.served) == {first: run.run_id}
    assert next_step(served.instance, served.served).reason.startswith(f"partitions to be made: {len(others)} of 4")


def test_every_partition_of_a_range_at_work_is_waited_for(served: Served) -> None:
    first, second, third, _ = served.partitions
    run = at_work(served, first, third)
    assert active_partitions(served.instance, served.served) == dict.fromkeys((first, second, third), run.run_id)
    served.instance.delete_dynamic_partition(NAMES.partitions, third)
    assert set(active_partitions(served.instance, served.served)) == {first, third}
