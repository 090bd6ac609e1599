"""The sensor that watches the prompts: a change is asked for once, and observed as a version."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

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
    assert seen.tags[DATA_VERSION] == result.cursor


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
