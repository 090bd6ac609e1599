"""The sensor that watches the prompts: a change is asked for once, and observed as a version."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import dagster as dg
import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from hierflow.assets.names import SET_TAG
from hierflow_tests.assets.dagster_sets import DATA_VERSION, NAMES, Served
from hierflow_tests.image_sets import write_document


@pytest.fixture
def served(tmp_path: Path) -> Served:
    (tmp_path / "prompts.txt").write_text("a red mug\na blue mug\n", "utf-8")
    return Served(_written(tmp_path))


def _written(folder: Path, assets: dict[str, object] | None = None, **runs: object) -> Path:
    return write_document(folder, prompts={"file": "prompts.txt"}, runs=runs, assets=assets or {})


def tick(served: Served, cursor: str | None = None) -> dg.SensorResult | dg.SkipReason:
    repository = served.definitions.get_repository_def()
    with dg.build_sensor_context(instance=served.instance, repository_def=repository, cursor=cursor) as context:
        result = repository.get_sensor_def(NAMES.prompts_sensor)(context)
    assert isinstance(result, dg.SensorResult | dg.SkipReason)
    return result


def requested(result: dg.SensorResult | dg.SkipReason) -> list[str | None]:
    return [] if isinstance(result, dg.SkipReason) else [request.run_key for request in result.run_requests or ()]


def test_prompts_without_a_plan_are_asked_for(served: Served) -> None:
    result = tick(served)
    assert isinstance(result, dg.SensorResult)
    (request,) = result.run_requests or ()
    assert request.job_name == NAMES.plan_job
    (seen,) = result.asset_events
    assert seen.asset_key == served.served.key("prompt_source")
    assert seen.tags[DATA_VERSION] == (result.cursor or "").split()[0]


def test_the_prompts_of_the_current_plan_are_not_asked_for(served: Served) -> None:
    first = tick(served)
    assert isinstance(first, dg.SensorResult)
    assert served.execute(NAMES.plan_job).success
    assert isinstance(tick(served, first.cursor), dg.SkipReason)


def test_every_change_is_asked_for_once_a_change_back_included(served: Served) -> None:
    prompts = served.document.parent / "prompts.txt"
    texts = ["a red mug\na blue mug\n", "a red mug\na green mug\n"]
    keys: list[str | None] = []
    for text in [*texts, *texts]:
        prompts.write_text(text, "utf-8")
        (key,) = requested(tick(served))
        assert [key] == requested(tick(served))  # Dagster launches one key once
        keys.append(key)
        assert served.execute(NAMES.plan_job).success
    assert len(set(keys)) == len(keys)


def test_a_plan_that_is_being_made_is_waited_for(served: Served) -> None:
    served.instance.add_run(
        dg.DagsterRun(NAMES.plan_job, status=dg.DagsterRunStatus.STARTED, tags={SET_TAG: "trial"})
    )
    assert requested(tick(served)) == []


class CountingFileSystem(MemoryFileSystem):
    """A memory of its own that counts how often a file's bytes are read."""

    protocol = "counting"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    reads = 0

    def cat_file(self, path: str, *args: Any, **kwargs: Any) -> bytes:
        CountingFileSystem.reads += 1
        return bytes(super().cat_file(path, *args, **kwargs))


def test_prompts_behind_a_url_are_watched_and_read_when_they_change(tmp_path: Path) -> None:
    fsspec.register_implementation("counting", CountingFileSystem, clobber=True)
    files = fsspec.filesystem("counting")
    files.pipe("counting://shop/prompts.csv", b"id,prompt\n1,a red mug\n")
    source = {"table": "counting://shop/prompts.csv", "id_column": "id", "text": None}
    served = Served(write_document(tmp_path, prompts=source))
    first = tick(served)
    assert isinstance(first, dg.SensorResult)
    assert served.execute(NAMES.plan_job).success

    reads = CountingFileSystem.reads
    assert isinstance(tick(served, first.cursor), dg.SkipReason)
    assert CountingFileSystem.reads == reads

    files.pipe("counting://shop/prompts.csv", b"id,prompt\n1,a big mug\n")  # of the same size
    second = tick(served, first.cursor)
    assert isinstance(second, dg.SensorResult)
    assert len(second.run_requests or ()) == len(second.asset_events) == 1
    assert requested(tick(served, second.cursor)) == requested(second)  # until it has been planned
    files.rm("counting://shop/prompts.csv")
    gone = tick(served, second.cursor)
    assert isinstance(gone, dg.SkipReason)
    assert "prompts.table: 'counting://shop/prompts.csv' does not exist" in (gone.skip_message or "")


def test_an_edit_of_how_a_table_is_read_is_a_change_of_the_prompts(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("prompt,caption\na red mug,a blue mug\n", "utf-8")
    first = tick(Served(write_document(tmp_path, prompts={"table": "t.csv", "text": None})))
    assert isinstance(first, dg.SensorResult)
    (tmp_path / "t.csv").write_text("text,caption\na red mug,a blue mug\n", "utf-8")
    versions = set()
    for column in ("text", "caption"):
        source = {"table": "t.csv", "text": None, "prompt_column": column}
        result = tick(Served(write_document(tmp_path, prompts=source)), first.cursor)
        assert isinstance(result, dg.SensorResult)
        versions.add(tuple((result.cursor or "").split()))
    assert len({version for version, _ in versions}) == len({content for _, content in versions}) == 2


def test_prompts_that_are_wrong_are_said_and_launch_nothing(served: Served) -> None:
    (served.document.parent / "prompts.txt").write_bytes(b"\xff\xfe\x00")
    result = tick(served)
    assert isinstance(result, dg.SkipReason)
    assert "prompts.txt" in (result.skip_message or "")


def test_a_file_that_is_not_there_is_told_in_a_sentence(served: Served) -> None:
    (served.document.parent / "prompts.txt").unlink()
    result = tick(served)
    assert isinstance(result, dg.SkipReason)
    assert (result.skip_message or "").startswith("prompts.file: 'prompts.txt' does not exist (looked for ")


def test_a_file_that_an_asset_has_not_made_yet_is_told_with_the_asset(served: Served) -> None:
    (served.document.parent / "prompts.txt").unlink()
    _written(served.document.parent, assets={"deps": ["shop/products"]})
    result = tick(served)
    assert isinstance(result, dg.SkipReason)
    told = result.skip_message or ""
    assert "does not exist yet" in told
    assert told.endswith("; materialize what makes it: shop/products.")
    ended = served.execute(NAMES.plan_job)
    (failed,) = [event for event in ended.all_events if event.is_step_failure]
    reason = failed.step_failure_data.user_failure_data
    assert reason is not None
    assert reason.description == told


def test_with_automation_it_only_observes_and_the_conditions_act(served: Served) -> None:
    _written(served.document.parent, automation=True)
    result = tick(served)
    assert isinstance(result, dg.SensorResult)
    assert not result.run_requests
    (seen,) = result.asset_events
    definitions = served.definitions
    assert isinstance(seen, dg.AssetObservation)

    before = dg.evaluate_automation_conditions(definitions, instance=served.instance)
    assert served.execute(NAMES.plan_job).success
    quiet = dg.evaluate_automation_conditions(definitions, instance=served.instance, cursor=before.cursor)
    served.instance.report_runless_asset_event(seen)
    changed = dg.evaluate_automation_conditions(definitions, instance=served.instance, cursor=quiet.cursor)
    plan = {
        served.served.key(asset) for asset in ("prompt_set", "prompt_embeddings", "embedding_tree", "shared_latents")
    }
    assert _asked(quiet, served) == set()
    assert _asked(changed, served) == plan


def _asked(result: dg.EvaluateAutomationConditionsResult, served: Served) -> set[dg.AssetKey]:
    return {key for key in served.served.keys if result.get_num_requested(key)}
