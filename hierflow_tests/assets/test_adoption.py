"""The store holds the truth: a Dagster instance that has never heard of a set takes it over for nothing."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from hierflow.assets.graph import SUBTREE_ASSETS as ASSETS
from hierflow.assets.names import SetNames
from hierflow_tests.image_sets import launched, run, write_document
from hierflow_tests.no_work import refuse_work

NAMES = SetNames("trial")


def test_a_fresh_instance_adopts_a_finished_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = write_document(tmp_path)
    assert run(document).code == 0
    home = tmp_path / "elsewhere"
    home.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(home))

    refuse_work(monkeypatch)
    done = launched(document)

    assert done.problems == []
    assert done.run == []
    assert len(done.skipped) == 2
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert set(instance.get_dynamic_partitions(NAMES.partitions)) == set(done.skipped)
        for asset in ASSETS:
            assert instance.get_materialized_partitions(dg.AssetKey(["trial", asset])) == set(done.skipped)
            event = instance.get_latest_materialization_event(dg.AssetKey(["trial", asset]))
            assert event is not None
            assert event.asset_materialization is not None
            assert event.asset_materialization.metadata["evaluations_executed"].value == 0
        before = _events(instance)

    again = launched(document)
    assert again.problems == []
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert _events(instance) == before  # what is known is not reported twice


def _events(instance: dg.DagsterInstance) -> dict[str, int]:
    return {
        asset: len(instance.fetch_materializations(dg.AssetKey(["trial", asset]), limit=100).records)
        for asset in ASSETS
    }
