"""Real Dagster runs of a set: partitions, data versions, checks and metadata."""

from __future__ import annotations

import base64
import io
import shutil
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
from PIL import Image

from hierflow.assets.names import PLAN_TAG
from hierflow.stages.context import Stage
from hierflow.store.ledger import _closed, _plain
from hierflow.store.sealed import write_json
from hierflow.tree import memory
from hierflow_tests.assets.dagster_sets import NAMES, Served
from hierflow_tests.image_sets import FOUR, write_document

EDITED = [*FOUR[:3], "a green chair"]
PLAN = ("prompt_set", "prompt_embeddings", "embedding_tree", "shared_latents")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A set whose jobs have all run once; tests only read it."""
    served = Served(write_document(tmp_path_factory.mktemp("set")))
    served.execute_all()
    return served


@pytest.fixture
def copied(original: Served, tmp_path: Path) -> Served:
    """The same store under another document, with an instance that has never heard of it."""
    folder = Path(shutil.copytree(original.document.parent, tmp_path / "copy"))
    return Served(folder / original.document.name)


def _stage(served: Served) -> Stage:
    from hierflow.document import load_document

    return Stage(load_document(served.document), served.document.parent, served.document, run="r", invocation="i")


def test_a_partition_appears_for_every_bin_of_the_plan(original: Served) -> None:
    compiled = _stage(original).store.plans.current()
    assert compiled is not None
    assert original.partitions == compiled.document.keys
    assert len(original.partitions) == 2
    for asset in ("denoising_plan", "subtree_latents", "images", "quality_scores"):
        assert set(original.versions(asset)) == set(original.partitions)


def test_an_unchanged_rerun_gives_equal_versions(original: Served, copied: Served) -> None:
    copied.execute_all()
    for asset in (*PLAN, "image_set"):
        assert copied.version(asset) == original.version(asset), asset
    for asset in ("denoising_plan", "subtree_latents", "images", "quality_scores"):
        assert copied.versions(asset) == original.versions(asset), asset
    planned = copied.metadata("embedding_tree")["evaluations_planned"]
    assert (
        copied.metadata("compute_audit")["evaluations_executed"] == planned
    )  # over all runs of the plan, of which this was one


def test_an_edited_prompt_moves_what_it_changes_and_leaves_the_trunk_alone(original: Served, copied: Served) -> None:
    write_document(copied.document.parent, prompts={"text": EDITED})
    assert copied.execute(NAMES.plan_job).success
    for asset in ("prompt_set", "prompt_embeddings", "embedding_tree"):
        assert copied.version(asset) != original.version(asset), asset
    assert copied.version("shared_latents") == original.version("shared_latents")
    assert copied.metadata("shared_latents")["nodes"] == 1
    assert copied.metadata("shared_latents")["evaluations_executed"] == 0  # the tree that has run is kept
    assert copied.metadata("embedding_tree")["grafts"] == 1


def test_a_tree_founded_anew_denoises_its_trunk_under_the_same_version(original: Served, copied: Served) -> None:
    write_document(copied.document.parent, prompts={"text": EDITED}, sharing={"tree": "fresh"})
    assert copied.execute(NAMES.plan_job).success
    assert copied.version("shared_latents") == original.version("shared_latents")
    assert copied.metadata("shared_latents")["evaluations_executed"] == 1
    assert copied.metadata("embedding_tree")["grafts"] == 0


def test_a_rebuild_can_be_asked_for_in_the_launchpad(original: Served, copied: Served) -> None:
    write_document(copied.document.parent, prompts={"text": EDITED})
    job = copied.definitions.resolve_job_def(NAMES.plan_job)
    tree = {"ops": {NAMES.op("embedding_tree"): {"config": {"rebuild": "all"}}}}
    assert job.execute_in_process(instance=copied.instance, run_config=tree).success
    assert copied.metadata("embedding_tree")["grafts"] == 0
    assert copied.metadata("embedding_tree")["regret"] == 0


def test_a_tree_that_has_outgrown_the_machine_is_compared_with_none(
    copied: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: memory.tree_bytes(3))
    write_document(copied.document.parent, prompts={"text": EDITED})
    result = copied.execute(NAMES.plan_job)
    assert result.success
    assert copied.metadata("embedding_tree")["grafts"] == 1
    assert "regret" not in copied.metadata("embedding_tree")
    checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert all(checks[name].passed for name in ("regret", "drift"))
    assert "not compared" in (checks["regret"].description or "")
    write_document(copied.document.parent, prompts={"text": EDITED}, diffusion={"seed": 1})
    result = copied.execute(NAMES.plan_job)
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    assert failed.step_key == NAMES.op("prompt_embeddings")


def test_another_seed_moves_the_trunk(original: Served, copied: Served) -> None:
    write_document(copied.document.parent, diffusion={"seed": 1})
    assert copied.execute(NAMES.plan_job).success
    assert copied.version("shared_latents") != original.version("shared_latents")


def test_a_partition_that_an_edit_leaves_alone_keeps_its_plan(tmp_path: Path) -> None:
    served = Served(write_document(tmp_path, sharing={"tau": 1.0}))  # no trunk: mugs and chairs share nothing
    assert served.execute(NAMES.plan_job).success
    before = served.versions("denoising_plan")
    write_document(tmp_path, sharing={"tau": 1.0}, prompts={"text": EDITED})
    assert served.execute(NAMES.plan_job).success
    after = served.versions("denoising_plan")
    assert before.keys() == after.keys()
    assert [key for key in before if before[key] == after[key]] == [key for key in before if "mug" in key]
    assert served.metadata("shared_latents")["nodes"] == 0


def test_a_run_works_on_the_plan_it_was_launched_with(original: Served, copied: Served) -> None:
    old = original.version("embedding_tree")
    write_document(copied.document.parent, prompts={"text": EDITED})
    assert copied.execute(NAMES.plan_job).success
    assert copied.version("embedding_tree") != old
    partition = original.partitions[0]
    result = copied.execute(NAMES.subtree_job, partition, **{PLAN_TAG: old})
    assert result.success
    assert copied.versions("subtree_latents")[partition] == original.versions("subtree_latents")[partition]


def test_a_partition_without_a_plan_says_what_to_do(tmp_path: Path) -> None:
    served = Served(write_document(tmp_path))
    served.instance.add_dynamic_partitions(NAMES.partitions, ["early"])
    result = served.execute(NAMES.subtree_job, "early")
    assert not result.success
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    reason = failed.step_failure_data.user_failure_data
    assert reason is not None
    assert "no plan yet: launch the job trial first" in (reason.description or "")


def test_a_key_that_holds_no_prompts_any_more_is_empty_and_no_failure(copied: Served) -> None:
    copied.instance.add_dynamic_partitions(NAMES.partitions, ["retired"])
    assert copied.execute(NAMES.subtree_job, "retired").success
    assert copied.versions("images") == {"retired": "empty"}


def test_checks_pass_on_a_good_set(original: Served, copied: Served) -> None:
    result = copied.execute(NAMES.finish_job)
    found = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert found == {"complete": True, "books_balance": True}


def test_books_balance_fails_when_the_ledger_has_been_tampered_with(copied: Served) -> None:
    stage = _stage(copied)
    entry = next(entry for entry in stage.store.ledger.entries() if entry.stage == "partition")
    (name,) = {
        path.removeprefix("ledger/closed/").removesuffix(".json")
        for path in stage.store.files.list("ledger/closed")
        if entry.run in path
    }
    write_json(stage.store.files, _closed(name), _plain(replace(entry, evaluations=entry.evaluations + 1)))
    result = copied.execute(NAMES.finish_job)
    assert result.success
    (check,) = [check for check in result.get_asset_check_evaluations() if check.check_name == "books_balance"]
    assert check.passed is False
    assert "the hook counted 10 evaluations, the ledger lists 9" in str(check.metadata["problems"].value)


def test_complete_warns_while_a_partition_is_missing(copied: Served) -> None:
    stage = _stage(copied)
    stage.store.files.delete(stage.store.files.list("records")[0])
    result = copied.execute(NAMES.finish_job)
    (check,) = [check for check in result.get_asset_check_evaluations() if check.check_name == "complete"]
    assert check.passed is False
    assert check.severity == dg.AssetCheckSeverity.WARN
    assert check.metadata["missing"].value == 2
    assert copied.metadata("image_set")["complete"] is False


def test_image_set_leads_to_gallery_manifest_and_history(original: Served) -> None:
    found = original.metadata("image_set")
    for name, path in {"gallery": "gallery.html", "manifest": "manifest.parquet", "history": "history.html"}.items():
        assert Path(found[name]) == original.document.parent / "out" / NAMES.name / path
        assert Path(found[name]).is_file()


def test_metadata_is_numbers_to_plot(original: Served) -> None:
    tree, latents, audit = (
        original.metadata(name) for name in ("embedding_tree", "subtree_latents", "compute_audit")
    )
    assert (tree["evaluations_planned"], tree["evaluations_standard"], tree["prompts"]) == (9, 16, 4)
    assert (latents["evaluations_planned"], latents["evaluations_executed"]) == (4, 4)
    assert tuple(audit[f"evaluations_{name}"] for name in ("planned", "executed", "standard")) == (9, 9, 16)
    assert 0 < audit["saved"] < 1
    assert isinstance(original.metadata("quality_scores")["mean_clip_similarity"], float)
    assert original.metadata("image_set")["dagster/row_count"] == 4


def test_the_contact_sheet_is_a_small_picture(original: Served) -> None:
    sheet = original.metadata("images")["contact_sheet"]
    assert len(sheet) < 100_000
    label, data = sheet.removesuffix(")").split("(data:image/jpeg;base64,")
    assert label == "![2 of 2 images]"
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert picture.format == "JPEG"
    assert min(picture.size) >= 32
