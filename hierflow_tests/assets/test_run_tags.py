"""`runs.tags` of all jobs and of one, and `runs.pool` on the steps that use the device."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import dagster as dg
import jsonschema
import pytest
import yaml

from hierflow.assets.names import ACCELERATOR_TAG, SET_TAG
from hierflow.assets.schema import document_schema
from hierflow.document import load_document
from hierflow.errors import InputError
from hierflow.spec import ImageSetSpec
from hierflow_tests.assets.dagster_sets import NAMES, Served
from hierflow_tests.image_sets import attributes, write_document
from hierflow_tests.tiny_models import tiny_learned

__all__ = ["tiny_learned"]

CPU = {"container_config": {"resources": {"requests": {"cpu": "2"}}}}
GPU = {"container_config": {"resources": {"limits": {"nvidia.com/gpu": 1}}}}
CONFIG = "dagster-k8s/config"
RUNS: dict[str, Any] = {
    "tags": {"team": "studio", CONFIG: CPU, "subtrees": {CONFIG: GPU, "team": "render"}, "quality": {"note": "x"}},
    "pool": "gpu",
    "automation": True,
}
JOBS = (NAMES.plan_job, NAMES.subtree_job, NAMES.finish_job, NAMES.quality_job)


@pytest.fixture
def served(tmp_path: Path) -> Served:
    """A set with tags of all jobs, of one, and a pool."""
    return Served(write_document(tmp_path, runs=RUNS))


def test_the_tags_of_a_job_are_its_own_over_those_of_all(served: Served) -> None:
    tags = {job: dict(served.definitions.resolve_job_def(job).tags) for job in JOBS}
    assert {job: json.loads(found[CONFIG]) for job, found in tags.items()} == {
        NAMES.plan_job: CPU,
        NAMES.subtree_job: GPU,
        NAMES.finish_job: CPU,
        NAMES.quality_job: CPU,
    }
    assert [tags[job]["team"] for job in JOBS] == ["studio", "render", "studio", "studio"]
    assert [tags[job].get("note") for job in JOBS] == [None, None, None, "x"]
    assert [ACCELERATOR_TAG in tags[job] for job in JOBS] == [True, True, False, True]
    assert {tags[job][SET_TAG] for job in JOBS} == {"trial"}
    assert "subtrees" not in tags[NAMES.plan_job]


def test_automation_has_the_tags_of_the_plan_and_steps_those_of_their_job(served: Served) -> None:
    repository = served.definitions.get_repository_def()
    sensor = repository.get_sensor_def("trial_automation")
    assert isinstance(sensor, dg.AutomationConditionSensorDefinition)
    assert (sensor.run_tags["team"], json.loads(sensor.run_tags[CONFIG])) == ("studio", CPU)
    for job in JOBS:
        resolved = served.definitions.resolve_job_def(job)
        for node in resolved.graph.nodes:
            own = {key: value for key, value in resolved.tags.items() if not key.startswith("hierflow/")}
            assert {key: node.definition.tags[key] for key in own} == own


@pytest.mark.parametrize("sharing", [{}, {"quality": {"metric": "clip", "max_loss": 0.1}, "tau": None}])
def test_the_steps_that_use_the_device_are_in_the_pool(tmp_path: Path, sharing: dict[str, Any]) -> None:
    changes = {"runs": RUNS, "sharing": sharing, **({"scoring": {"metrics": ["clip"]}} if sharing else {})}
    served = Served(write_document(tmp_path, **changes))
    pools = {
        node.name.removeprefix("trial__"): node.definition.pools
        for job in JOBS
        for node in served.definitions.resolve_job_def(job).graph.nodes
    }
    in_pool = {"prompt_embeddings", "shared_latents", "subtree", "quality_report"}
    assert {name for name, found in pools.items() if found == {"gpu"}} == in_pool | (
        {"embedding_tree"} if sharing else set()
    )
    assert {name for name, found in pools.items() if not found} >= {"prompt_set", "image_set", "compute_audit"}


def test_without_a_pool_no_step_is_in_one(tmp_path: Path) -> None:
    served = Served(write_document(tmp_path))
    assert not any(node.definition.pools for node in served.definitions.resolve_job_def(NAMES.plan_job).graph.nodes)


def test_tags_are_the_text_that_the_document_has(tmp_path: Path) -> None:
    document = tmp_path / "set.yaml"
    lines = ["  all: 1.10", "  clock: 16:9", "  finish: {dagster/priority: 010}"]
    document.write_text(
        "type: hierflow.ImageSet\nattributes:\n  name: trial\n  prompts: {text: [a mug]}\n  runs:\n    tags:\n"
        + "".join(f"    {line}\n" for line in lines)
    )
    tags = load_document(document).runs.tags
    assert tags.of("finish") == {"all": "1.10", "clock": "16:9", "dagster/priority": "010"}
    assert tags.of("plan") == {"all": "1.10", "clock": "16:9"}


@pytest.mark.parametrize(
    ("runs", "field"),
    [
        ({"tags": {"plan": "gold"}}, "runs.tags.plan"),
        ({"tags": {"team": True}}, "runs.tags.team"),
        ({"tags": {"team": ["a"]}}, "runs.tags.team"),
        ({"tags": {"team": None}}, "runs.tags.team"),
        ({"tags": {"subtrees": {"team": [1]}}}, "runs.tags.subtrees.team"),
        ({"tags": {"subtrees": {"team": False}}}, "runs.tags.subtrees.team"),
        ({"pool": "two words"}, "runs.pool"),
        ({"pool": ""}, "runs.pool"),
    ],
)
def test_what_is_no_tag_and_no_pool_is_refused_with_its_line(
    tmp_path: Path, runs: dict[str, Any], field: str
) -> None:
    document = write_document(tmp_path, runs=runs)
    with pytest.raises(InputError) as refused:
        load_document(document)
    assert refused.value.field == field
    assert refused.value.line is not None
    assert field.split(".")[-1] in document.read_text().splitlines()[refused.value.line - 1]


def test_dg_check_yaml_agrees(tmp_path: Path) -> None:
    schema = document_schema(ImageSetSpec)
    jsonschema.validate(attributes(runs=RUNS), schema)
    for tags in ({"plan": "gold"}, {"team": ["a"]}, {"subtrees": {"team": ["a"]}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(attributes(runs={"tags": tags}), schema)
    assert yaml.safe_load(write_document(tmp_path, runs=RUNS).read_text())["attributes"]["runs"]["pool"] == "gpu"


@pytest.mark.services  # it waits for a minute
def test_a_partition_waits_for_a_slot_of_the_pool(tiny_learned: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    diffusion = {"model": str(tiny_learned), "steps": 4, "prior_steps": 2}
    document = write_document(tmp_path, diffusion=diffusion, sharing={"tau": 0.3}, runs={"pool": "gpu"})
    with dg.DagsterInstance.local_temp(str(tmp_path / "home")) as instance:
        served, storage = Served(document, instance), instance.event_log_storage
        assert served.execute(NAMES.plan_job).success
        storage.set_concurrency_slots("gpu", 1)
        assert storage.claim_concurrency_slot("gpu", "a run of another set", "step").is_claimed
        ended: list[bool] = []

        def execute() -> None:
            ended.append(served.execute(NAMES.subtree_job, served.partitions[0]).success)

        thread = threading.Thread(target=execute)
        thread.start()
        end = time.monotonic() + 120
        while not storage.get_concurrency_info("gpu").pending_steps:
            assert thread.is_alive()
            assert time.monotonic() < end
            time.sleep(0.02)
        assert not list((tmp_path / "out/trial/records").glob("*"))
        storage.free_concurrency_slots_for_run("a run of another set")
        thread.join(120)
        assert ended == [True]
        assert len(list((tmp_path / "out/trial/records").glob("*"))) == 1
        assert storage.get_concurrency_info("gpu").active_slot_count == 0
