"""Webserver, daemon and sensor together: a job launched over GraphQL becomes a whole set."""

from __future__ import annotations

import psutil
import pytest

from hierflow.assets.graph import PLAN_ASSETS, REPORT_ASSETS, SUBTREE_ASSETS
from hierflow.stages.todo import todo
from hierflow_tests.browser.dagster_dev import dagster_dev, processes_of, wait
from hierflow_tests.browser.made_set import NAMES, PLAIN, STRANGE, MadeSet
from hierflow_tests.image_sets import rows_of

pytestmark = pytest.mark.browser


def test_each_partition_is_launched_once_and_the_reports_follow(made: MadeSet) -> None:
    compiled = made.store.plans.current()
    assert compiled is not None
    assert len(compiled.document.keys) > 1
    assert made.partitions_of(made.request) == sorted(compiled.document.keys)
    subtrees = made.runs_of(made.request, NAMES.subtree_job)
    (finish,) = made.runs_of(made.request, NAMES.finish_job)
    assert {run["status"] for run in (*subtrees, finish)} == {"SUCCESS"}
    assert finish["startTime"] >= max(run["endTime"] for run in subtrees)
    assert todo(made.store, compiled) == []


def test_every_asset_is_made_and_its_checks_pass(made: MadeSet) -> None:
    for asset in (*PLAN_ASSETS, *REPORT_ASSETS):
        assert made.dagster.asset(NAMES.name, asset)["assetMaterializations"], asset
    for asset in ("denoising_plan", *SUBTREE_ASSETS):
        stats = made.dagster.asset(NAMES.name, asset)["partitionStats"]
        assert stats["numMaterialized"] == stats["numPartitions"] > 0, asset
    for asset, check in (("image_set", "complete"), ("compute_audit", "books_balance")):
        (told,) = made.dagster.asset(NAMES.name, asset)["assetChecksOrError"]["checks"]
        assert told["name"] == check
        assert told["executionForLatestMaterialization"]["evaluation"]["success"], check


def test_a_second_launch_with_nothing_changed_launches_no_partition(made: MadeSet) -> None:
    request = made.launch()
    made.wait_for_the_end(request)
    assert made.partitions_of(request) == []


def test_an_edit_launches_what_it_changed_and_a_killed_partition_is_brought_to_its_end(made: MadeSet) -> None:
    edited = (*STRANGE, *PLAIN[:-1], "a blue striped house")
    made.write_prompts(*edited)
    request = made.launch()
    compiled = made.store.plans.current()
    assert compiled is not None
    (changed,) = todo(made.store, compiled)

    first = wait(lambda: made.runs_of(request, NAMES.subtree_job), "the partition to be launched")[0]["runId"]
    process = wait(lambda: made.dagster.process_of(first), "its process")
    psutil.Process(process).kill()

    made.wait_for_the_end(request)
    assert made.partitions_of(request) == [changed, changed]
    assert [run["status"] for run in made.runs_of(request, NAMES.subtree_job)] == ["FAILURE", "SUCCESS"]
    assert todo(made.store, compiled) == []
    rows = {row["prompt"]: row["status"] for row in rows_of(made.document)}
    assert rows == dict.fromkeys(edited, "current")


def test_no_process_is_left_behind(tmp_path_factory: pytest.TempPathFactory) -> None:
    with dagster_dev(tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("none")) as served:
        assert len(processes_of(served.session)) > 2
    assert processes_of(served.session) == []
