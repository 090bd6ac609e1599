"""A process plans no older version of the document than the run was requested for, or than the file holds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster.components.testing import create_defs_folder_sandbox

import hierflow
from hierflow.assets.names import DOCUMENT_TAG, DOCUMENT_TIME_TAG, SCORING_TAG
from hierflow.document import document_digests, load_document
from hierflow_tests.assets.dagster_sets import NAMES, Served
from hierflow_tests.image_sets import attributes, write_document
from hierflow_tests.tiny_models import tiny_learned

__all__ = ["tiny_learned"]


@pytest.fixture
def served(tiny_learned: Path, tmp_path: Path) -> Served:
    return Served(_write(tmp_path, tiny_learned))


def _write(folder: Path, model: Path, **changes: Any) -> Path:
    diffusion = {"model": str(model), "steps": 4, "prior_steps": 2, **changes.pop("diffusion", {})}
    return write_document(folder, diffusion=diffusion, sharing={"tau": 0.3}, **changes)


def _execute(
    served: Served, loaded: dg.Definitions, job: str, partition: str | None = None, **tags: str
) -> tuple[str, dg.UserFailureData] | None:
    """Run a job as a process does that has loaded these definitions: the step that failed, and how."""
    result = loaded.resolve_job_def(job).execute_in_process(
        instance=served.instance, partition_key=partition, raise_on_error=False, tags=tags
    )
    failures = [event for event in result.all_events if event.is_step_failure]
    if not failures:
        assert result.success
        return None
    data = failures[0].step_failure_data.user_failure_data
    assert data is not None
    return str(failures[0].step_key), data


def test_every_job_carries_the_version_of_the_code_location(served: Served) -> None:
    version = load_document(served.document).document_digest
    for job in (NAMES.plan_job, NAMES.subtree_job, NAMES.finish_job, NAMES.quality_job):
        assert served.definitions.resolve_job_def(job).tags[DOCUMENT_TAG] == version


@pytest.mark.parametrize("has_file", [True, False])
def test_a_worker_with_an_older_version_plans_nothing(served: Served, tiny_learned: Path, has_file: bool) -> None:
    loaded, old = served.definitions, load_document(served.document).document_digest
    _write(served.document.parent, tiny_learned, prompts={"text": ["a red mug", "a blue lamp"]})
    new = load_document(served.document).document_digest
    if not has_file:  # a container whose own copy is the old one
        served.document.unlink()
    failed = _execute(served, loaded, NAMES.plan_job, **{DOCUMENT_TAG: new})
    assert failed is not None
    assert failed[0] == NAMES.op("prompt_set")
    assert str(served.document) in (failed[1].description or "")
    if not has_file:
        assert f"version {new[:8]} " in (failed[1].description or "")
        assert f"version {old[:8]};" in (failed[1].description or "")
    assert not (served.document.parent / "out/trial/set.json").exists()


def test_a_code_location_that_was_not_reloaded_plans_nothing(served: Served, tiny_learned: Path) -> None:
    loaded = served.definitions
    _write(served.document.parent, tiny_learned, diffusion={"seed": 1})
    failed = _execute(served, loaded, NAMES.plan_job)
    assert failed is not None
    assert failed[0] == NAMES.op("prompt_set")
    assert str(served.document) in (failed[1].description or "")
    assert not (served.document.parent / "out/trial/set.json").exists()
    assert _execute(served, served.definitions, NAMES.plan_job) is None


def test_assets_without_their_job_are_held_to_the_file(served: Served, tiny_learned: Path) -> None:
    loaded = served.definitions
    assert _execute(served, loaded, NAMES.plan_job) is None
    _write(served.document.parent, tiny_learned, diffusion={"seed": 1})
    tree = dg.define_asset_job("tree", dg.AssetSelection.assets(served.served.key("embedding_tree")))
    failed = _execute(served, dg.Definitions.merge(loaded, dg.Definitions(jobs=[tree])), "tree")
    assert failed is not None
    assert failed[0] == NAMES.op("embedding_tree")


def test_a_process_that_loads_a_newer_version_than_the_code_location_plans_it(
    served: Served, tiny_learned: Path
) -> None:
    requested = served.definitions.resolve_job_def(NAMES.plan_job).tags
    _write(served.document.parent, tiny_learned, diffusion={"seed": 1})
    edited = float(requested[DOCUMENT_TIME_TAG]) + 1
    os.utime(served.document, (edited, edited))
    tags = {tag: requested[tag] for tag in (DOCUMENT_TAG, DOCUMENT_TIME_TAG)}
    assert _execute(served, served.definitions, NAMES.plan_job, **tags) is None
    os.utime(served.document, (edited - 2, edited - 2))  # a container that has an older copy
    assert _execute(served, served.definitions, NAMES.plan_job, **tags) is not None


def test_partitions_follow_their_plan_and_quality_its_section(served: Served, tiny_learned: Path) -> None:
    loaded = served.definitions
    assert _execute(served, loaded, NAMES.plan_job) is None
    _write(served.document.parent, tiny_learned, scoring={"near_duplicate": 0.5})
    jobs = (served.definitions.resolve_job_def(job) for job in (NAMES.plan_job, NAMES.quality_job))
    new = {tag: job.tags[tag] for job in jobs for tag in (DOCUMENT_TAG, SCORING_TAG) if tag in job.tags}
    assert _execute(served, loaded, NAMES.subtree_job, served.partitions[0], **new) is None
    assert _execute(served, loaded, NAMES.finish_job, **new) is None
    failed = _execute(served, loaded, NAMES.quality_job, **new)
    assert failed is not None
    assert failed[0] == NAMES.op("quality_report")
    assert not (served.document.parent / "out/trial/assessed.json").exists()


def test_the_version_is_of_what_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIERFLOW_OUT", str(tmp_path / "one"))
    axes = {"color": ["red", "blue"], "product": ["mug", "chair"]}
    prompts = {"template": "a {color} {product}", "axes": axes}
    document = write_document(tmp_path, prompts=prompts, storage={"path": "{{ env.HIERFLOW_OUT }}"})
    first = load_document(document)
    document.write_text(
        "# a comment\n\n" + document.read_text("utf-8").replace("name: trial", "name:   trial"), "utf-8"
    )
    monkeypatch.setenv("HIERFLOW_OUT", str(tmp_path / "two"))
    second = load_document(document)
    assert first.storage.path != second.storage.path
    assert first.document_digest == second.document_digest
    assert document_digests(document) == {first.document_digest}
    text = document.read_text("utf-8")
    for edited in (text.replace("steps: 4", "steps: 5"), text.replace("- red\n      - blue", "- blue\n      - red")):
        assert edited != text
        document.write_text(edited, "utf-8")
        assert load_document(document).document_digest != first.document_digest


def test_components_and_sets_in_python_have_a_version(tmp_path: Path) -> None:
    with create_defs_folder_sandbox() as sandbox:
        contents = {"type": "hierflow.ImageSet", "attributes": attributes()}
        path = sandbox.scaffold_component(component_cls=hierflow.ImageSet, defs_yaml_contents=contents)
        with sandbox.load_component_and_build_defs(defs_path=path) as (component, definitions):
            assert isinstance(component, hierflow.ImageSet)
            assert document_digests(path / "defs.yaml") == {component.document_digest}
            assert definitions.resolve_job_def("trial").tags[DOCUMENT_TAG] == component.document_digest
    versions = {
        hierflow.image_set(base=tmp_path, **attributes(diffusion={"seed": seed}))
        .resolve_job_def("trial")
        .tags[DOCUMENT_TAG]
        for seed in (0, 0, 1)
    }
    assert len(versions) == 2
