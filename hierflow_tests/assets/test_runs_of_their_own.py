"""A run sees one state of the set from its first step to its last, and tries again only what may succeed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

import hierflow
from hierflow.assets import served_set
from hierflow.errors import RunError
from hierflow.prompts import load_prompts
from hierflow.stages.embedding import embeddings
from hierflow_tests.assets.dagster_sets import NAMES, Served
from hierflow_tests.image_sets import FOUR, attributes, write_document


def test_what_another_run_makes_current_midway_does_not_mix_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = Served(write_document(tmp_path))
    stage = served.served.stage("another", "another")
    real = embeddings.embed

    def embed(*arguments: Any) -> embeddings.Embeddings:
        other = load_prompts(stage.spec.prompts.model_copy(update={"text": ["a green hat"]}), tmp_path)
        stage.store.prompts.save(other)  # somebody else's edit, while this run is between its steps
        return real(*arguments)

    monkeypatch.setattr(embeddings, "embed", embed)
    assert served.execute(NAMES.plan_job).success
    plan = stage.store.plans.current()
    assert plan is not None
    assert stage.store.prompts.load(plan.document.prompts).texts == tuple(FOUR)
    assert served.metadata("embedding_tree")["prompts"] == 4


def test_the_trunk_is_that_of_the_runs_own_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hierflow.stages.making import latents

    served = Served(write_document(tmp_path))
    assert served.execute(NAMES.plan_job).success
    first = served.version("embedding_tree")
    seen = []

    def denoise(stage: Any, compiled: Any, prompts: Any, keys: Any, selected: Any) -> int:
        seen.append(compiled.document.id)
        return 0

    monkeypatch.setattr(latents, "denoise_trunk", denoise)
    write_document(tmp_path, prompts={"text": [*FOUR, "a green hat"]})
    real = served.served.stage("x", "x").store.plans
    from hierflow.stages.planning import make_plan as planning

    def adopt(stage: Any, compiled: Any, selection: Any) -> bool:
        planned = stage.store.plans.save(compiled)
        real.point_to(first, "another request")  # whose plan is current by the time the trunk begins
        return planned is None

    monkeypatch.setattr(planning, "adopt", adopt)
    assert served.execute(NAMES.plan_job).success
    assert seen == [served.version("embedding_tree")]
    assert seen != [first]


@pytest.mark.parametrize(
    ("fault", "attempts"), [(OSError("the share is gone"), 3), (RunError("the prior gave NaN"), 1)]
)
def test_a_fault_from_outside_is_tried_again_and_wrong_input_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception, attempts: int
) -> None:
    monkeypatch.setattr(served_set, "RETRY_SECONDS", 0)
    seen = 0

    def embed(*arguments: Any) -> Any:
        nonlocal seen
        seen += 1
        raise fault

    monkeypatch.setattr(embeddings, "embed", embed)
    served = Served(write_document(tmp_path, runs={"retries": 2}))
    assert not served.execute(NAMES.plan_job).success
    assert seen == attempts


def test_a_partition_run_without_a_partition_says_what_to_launch(tmp_path: Path) -> None:
    served = Served(write_document(tmp_path))
    result = served.execute(NAMES.subtree_job)
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    reason = failed.step_failure_data.user_failure_data
    assert reason is not None
    assert reason.description == "no partition was chosen: choose one, or launch the job trial to make all"


def test_all_unpartitioned_assets_in_one_run_on_a_new_instance(tmp_path: Path) -> None:
    """What the UI offers as "Materialize unsynced": the reports come last and say that images are missing."""
    served = Served(write_document(tmp_path))
    names = ("prompt_set", "prompt_embeddings", "embedding_tree", "shared_latents", "image_set", "compute_audit")
    result = dg.materialize(
        list(served.definitions.assets or ()),
        selection=[served.served.key(asset) for asset in names],
        instance=served.instance,
    )
    assert result.success
    assert served.metadata("image_set")["complete"] is False
    assert served.metadata("image_set")["missing"] == 4


def test_a_set_described_in_python_runs_like_one_of_a_document(tmp_path: Path) -> None:
    definitions = hierflow.image_set(base=tmp_path, **attributes())
    instance = dg.DagsterInstance.ephemeral()
    assert definitions.resolve_job_def("trial").execute_in_process(instance=instance).success
    for key in instance.get_dynamic_partitions("trial_subtrees"):
        job = definitions.resolve_job_def("trial_subtrees")
        assert job.execute_in_process(instance=instance, partition_key=key).success
    assert definitions.resolve_job_def("trial_finish").execute_in_process(instance=instance).success
    assert len(list((tmp_path / "out" / "trial" / "images").rglob("*.png"))) == 4


def test_python_attributes_are_checked_like_a_documents(tmp_path: Path) -> None:
    with pytest.raises(hierflow.InputError, match=r"sharing\.tau: -1 is not at least 0"):
        hierflow.image_set(base=tmp_path, **attributes(sharing={"tau": -1}))
