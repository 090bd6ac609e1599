"""`hierflow prune`: a dry run first, refused while something is at work, Dagster's partitions included."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from hierflow.assets.liveness import process_tag
from hierflow.assets.names import INVOCATION_TAG, PROCESS_TAG, SET_TAG, SetNames
from hierflow.launch import home_of, instance_at
from hierflow.store import SetStore
from hierflow_tests.assets.dagster_sets import DEAD_PROCESS
from hierflow_tests.image_sets import FOUR, command, images_of, run, snapshot, write_document

NAMES = SetNames("trial")
FRESH = {"sharing": {"tree": "fresh"}}
OTHERS = ["a green hat", "a yellow hat"]


@pytest.fixture(scope="module")
def edited_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A document whose prompts were all replaced after the first run, with a fresh tree each time."""
    folder = tmp_path_factory.mktemp("edited")
    write_document(folder, **FRESH)
    assert run(folder / "set.yaml").code == 0
    document = write_document(folder, **FRESH, prompts={"text": OTHERS})
    assert run(document).code == 0
    return document


@pytest.fixture
def edited(edited_set: Path, tmp_path: Path) -> Path:
    """That document, in a folder of its own."""
    return Path(shutil.copytree(edited_set.parent, tmp_path / "copy")) / edited_set.name


@pytest.fixture
def sleeper() -> Iterator[str]:
    """The tag of another process that is alive."""
    code = (
        "import sys; from hierflow.assets.liveness import process_tag; print(process_tag(), flush=True);"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        yield other.stdout.readline().strip()
        other.kill()


def keys_of(document: Path) -> set[str]:
    with instance_at(home_of(document)) as instance:
        return set(instance.get_dynamic_partitions(NAMES.partitions))


def started(document: Path, job: str, tags: dict[str, str], status: dg.DagsterRunStatus) -> None:
    """Dagster's record of a run."""
    with instance_at(home_of(document)) as instance:
        instance.add_run(dg.DagsterRun(job, status=status, tags={SET_TAG: "trial", **tags}))


def test_a_dry_run_tells_and_deletes_nothing(edited: Path) -> None:
    before, keys = snapshot(edited.parent / "out"), keys_of(edited)
    found = command("prune", edited, "--json")
    assert found.code == 0
    assert found.json["deleted"] is False
    kinds = {kind: about["files"] for kind, about in found.json["kinds"].items() if about["files"]}
    assert kinds.keys() == {
        *("records", "images", "plans", "trees", "prompt sets", "conditioning", "states"),
    }
    assert (kinds["images"], kinds["plans"], kinds["records"]) == (4, 2, 2)  # a plan, and its tree drawn
    assert found.json["files"] == sum(kinds.values())
    assert found.json["bytes"] > 10_000
    assert len(found.json["partition_keys"]) in (1, 2)
    told = command("prune", edited).stdout
    assert "nothing has been deleted; `hierflow prune SPEC --yes` deletes it" in told
    assert snapshot(edited.parent / "out") == before
    assert keys_of(edited) == keys


def test_with_yes_it_is_gone_and_a_run_has_nothing_to_do(edited: Path) -> None:
    foreseen, images, keys = command("prune", edited, "--json").json, images_of(edited), keys_of(edited)
    done = command("prune", edited, "--json", "--yes")
    assert done.code == 0
    assert done.json == {**foreseen, "deleted": True}
    assert keys_of(edited) == keys - set(foreseen["partition_keys"])
    assert command("prune", edited).stdout == "trial\n  nothing to prune\n"
    found = run(edited).json
    assert found["evaluations"]["executed"] == found["partitions"]["run"] == 0
    assert images_of(edited) == images
    assert keys_of(edited) == keys - set(foreseen["partition_keys"])


def test_old_prompts_are_made_anew_after_it(edited: Path) -> None:
    command("prune", edited, "--yes")
    write_document(edited.parent, **FRESH)
    found = run(edited).json
    assert found["complete"]
    assert found["evaluations"]["executed"] == found["evaluations"]["planned"] == found["evaluations"]["replayed"]
    assert sorted(images_of(edited)) == sorted(FOUR)


@pytest.mark.parametrize("options", [(), ("--yes",)])
@pytest.mark.parametrize("job", [NAMES.plan_job, NAMES.subtree_job])
def test_it_is_refused_while_a_run_is_active(edited: Path, job: str, options: tuple[str, ...]) -> None:
    started(edited, job, {}, dg.DagsterRunStatus.STARTED)
    before = snapshot(edited.parent / "out")
    ended = command("prune", edited, "--json", *options)
    assert ended.code == 1
    assert ended.json["error"].endswith(f"({job}) is at work on the image set trial; prune it once that has ended")
    assert len(ended.stderr.splitlines()) == 1
    assert snapshot(edited.parent / "out") == before


def test_it_is_refused_between_two_runs_of_a_command_in_another_process(edited: Path, sleeper: str) -> None:
    pointer = SetStore(str(edited.parent / "out"), "trial").plans.pointer()
    assert pointer is not None
    with instance_at(home_of(edited)) as instance:
        for about in instance.get_runs(dg.RunsFilter(job_name=NAMES.finish_job)):
            instance.delete_run(about.run_id)  # as though it were still to come
    tags = {INVOCATION_TAG: pointer.request, PROCESS_TAG: sleeper}
    started(edited, NAMES.subtree_job, tags, dg.DagsterRunStatus.SUCCESS)
    ended = command("prune", edited, "--yes")
    assert ended.code == 1
    assert ended.stderr == (
        "hierflow: a `hierflow run` in another process is at work on the image set trial; "
        "prune it once that has ended\n"
    )


def test_runs_that_are_dead_and_those_of_other_sets_do_not_count(edited: Path) -> None:
    started(edited, NAMES.subtree_job, {PROCESS_TAG: DEAD_PROCESS}, dg.DagsterRunStatus.STARTED)
    with instance_at(home_of(edited)) as instance:
        tags = {SET_TAG: "another", PROCESS_TAG: process_tag()}
        instance.add_run(dg.DagsterRun("another_subtrees", status=dg.DagsterRunStatus.STARTED, tags=tags))
    assert command("prune", edited, "--yes").code == 0


def test_without_dagsters_records_the_files_go_all_the_same(edited: Path) -> None:
    shutil.rmtree(edited.parent / ".hierflow")
    done = command("prune", edited, "--yes", "--json")
    assert done.code == 0
    assert (done.json["partition_keys"], done.json["deleted"]) == ([], True)
    assert not (edited.parent / ".hierflow").exists()


def test_a_set_that_was_never_run_is_wrong_input(tmp_path: Path) -> None:
    ended = command("prune", write_document(tmp_path), "--yes", "--json")
    assert ended.code == 2
    assert (
        "has not been run yet, so there is nothing to prune; run it first: hierflow run SPEC." in ended.json["error"]
    )
    assert not (tmp_path / "out").exists()


def test_keeping_no_state_goes_with_a_fresh_tree_only(tmp_path: Path) -> None:
    ended = command("run", write_document(tmp_path, storage={"keep": "none"}), "--json")
    assert ended.code == 2
    for part in ("storage.keep: 'none'", "sharing.tree: fresh only", "write storage.keep: branch_points, or"):
        assert part in ended.json["error"]
    assert not (tmp_path / "out").exists()


def test_a_run_keeps_the_states_that_the_document_says(tmp_path: Path) -> None:
    kept = {}
    for keep in ("all", "branch_points", "none"):
        folder = tmp_path / keep
        folder.mkdir()
        sharing = {"tree": "fresh", "checkpoint_every": 1, "tau": 1.0}
        found = run(write_document(folder, sharing=sharing, storage={"keep": keep})).json
        kept[keep] = len(list((folder / "out/trial/states").rglob("*.safetensors")))
        assert (found["bytes"]["states"] == 0) == (kept[keep] == 0)
    assert kept["all"] == 12
    assert 4 < kept["branch_points"] < 12
    assert kept["none"] == 0


def test_status_says_which_run_is_at_work(edited: Path) -> None:
    assert command("status", edited, "--json").json["at_work"] is None
    started(edited, NAMES.subtree_job, {PROCESS_TAG: DEAD_PROCESS}, dg.DagsterRunStatus.STARTED)
    assert "at work" not in command("status", edited).stdout
    started(edited, NAMES.subtree_job, {}, dg.DagsterRunStatus.STARTED)
    found = command("status", edited, "--json").json["at_work"]
    assert found.startswith("run ")
    assert found.endswith(f" ({NAMES.subtree_job})")
    lines = command("status", edited).stdout.splitlines()
    assert [line.split(maxsplit=2)[2] for line in lines if line.startswith("  at work ")] == [found]
    with instance_at(home_of(edited)) as instance:  # looking changes nothing, not even of a run that is dead
        assert [run.status for run in instance.get_runs()].count(dg.DagsterRunStatus.STARTED) == 2
    shutil.rmtree(edited.parent / ".hierflow")
    assert command("status", edited, "--json").json["at_work"] is None
    assert not (edited.parent / ".hierflow").exists()


def test_status_tells_of_every_partition_and_of_bytes(edited: Path) -> None:
    found = command("status", edited, "--json").json
    assert set(found["conditions"]) == {"fresh"}
    assert [state["state"] for state in found["states"]] == ["fresh"] * found["partitions"]["total"]
    assert found["bytes"]["all"] > found["bytes"]["states"] > 0 < found["bytes"]["images"]
    assert found["bytes_a_prompt"]["all"] == round(found["bytes"]["all"] / 2)
    for image in (edited.parent / "out/trial/images").rglob("*.png"):
        image.unlink()
    told = command("status", edited).stdout
    assert "stale: " in told or "missing: " in told
    assert "'a green hat'" in told
