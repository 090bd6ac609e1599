"""The command line on a good document: what it prints, what it leaves, and that it does nothing twice."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from hierflow.models.families.kandinsky22 import Kandinsky22
from hierflow_tests.image_sets import (
    Ended,
    command,
    images_of,
    launched,
    manifest_of,
    rows_of,
    run,
    snapshot,
    write_document,
)
from hierflow_tests.no_work import refuse_work

CONTRACT = {
    "name": str,
    "prompts": int,
    "images": int,
    "complete": bool,
    "partitions": {"total": int, "run": int, "skipped": int, "failed": int, "left": dict},
    "evaluations": {"standard": int, "planned": int, "executed": int, "reused": int, "replayed": int, "redone": int},
    "saved": float,
    "seconds": float,
    "manifest": str,
    "gallery": str,
}
SIZES = {"states": int, "images": int, "all": int}
MORE = {"audit": str, "wanted": int, "measured": int, "quality": dict, "bytes": SIZES}


@dataclass(frozen=True)
class History:
    """A set that was planned, run, and run again, with nothing changed in between.

    Attributes:
        document: its document.
        planned, first, second: what the commands printed.
        after_plan, after_first, after_second: every file after each.
    """

    document: Path
    planned: Ended
    first: Ended
    second: Ended
    after_plan: dict[str, tuple[int, bytes]]
    after_first: dict[str, tuple[int, bytes]]
    after_second: dict[str, tuple[int, bytes]]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    folder = tmp_path_factory.mktemp("history")
    document = write_document(folder)

    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError("the denoiser was touched")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Kandinsky22, "predict", refuse)
        planned = command("plan", document, "--json")
    after_plan = snapshot(folder)
    first = run(document)
    after_first = snapshot(folder)
    with pytest.MonkeyPatch.context() as patch:
        refuse_work(patch)
        second = run(document)
    return History(document, planned, first, second, after_plan, after_first, snapshot(folder))


@pytest.fixture
def finished(history: History, tmp_path: Path) -> Path:
    """The document of a finished set, in a folder of its own."""
    return Path(shutil.copytree(history.document.parent, tmp_path / "copy")) / history.document.name


def _assert_shape(found: object, shape: object) -> None:
    if isinstance(shape, dict):
        assert isinstance(found, dict)
        assert found.keys() == shape.keys()
        for name, kind in shape.items():
            _assert_shape(found[name], kind)
    else:
        assert type(found) is shape


def test_run_prints_exactly_one_object_with_the_contracts_keys(history: History) -> None:
    for ended in (history.first, history.second):
        assert ended.code == 0
        _assert_shape(ended.json, CONTRACT | MORE)


def test_the_first_run_makes_everything(history: History) -> None:
    found, folder = history.first.json, history.document.parent
    assert (found["name"], found["prompts"], found["images"], found["complete"]) == ("trial", 4, 4, True)
    assert found["partitions"] == {"total": 2, "run": 2, "skipped": 0, "failed": 0, "left": {}}
    assert found["evaluations"] == {
        "standard": 16,
        "planned": 9,
        "executed": 9,
        "reused": 0,
        "replayed": 0,
        "redone": 0,
    }
    assert found["saved"] == pytest.approx(1 - 9 / 16)
    assert found["manifest"] == str(folder / "out" / "trial" / "manifest.parquet")
    assert found["gallery"] == str(folder / "out" / "trial" / "gallery.html")
    assert Path(found["manifest"]).is_file()
    assert Path(found["gallery"]).is_file()
    assert Path(found["audit"]).is_file()


def test_logs_and_progress_go_to_stderr(history: History) -> None:
    assert "partition 1 of 2: " in history.first.stderr
    assert "denoising" in history.first.stderr


def test_a_second_run_evaluates_nothing_and_launches_no_partition(history: History) -> None:
    found = history.second.json
    assert found["partitions"] == {"total": 2, "run": 0, "skipped": 2, "failed": 0, "left": {}}
    assert found["evaluations"] == {
        "standard": 16,
        "planned": 9,
        "executed": 0,
        "reused": 9,
        "replayed": 0,
        "redone": 0,
    }
    assert found["images"] == 4
    assert found["complete"] is True


def test_a_second_run_leaves_images_states_and_records_as_they_are(history: History) -> None:
    for folder in ("images", "states", "records", "conditioning", "ledger", "plans", "trees"):
        before, after = (
            {name: file for name, file in files.items() if name.startswith(f"out/trial/{folder}/")}
            for files in (history.after_first, history.after_second)
        )
        assert before
        assert after == before, folder
    manifest = "out/trial/manifest.parquet"
    assert history.after_second[manifest][1] == history.after_first[manifest][1]


def test_plan_tells_the_cost_without_touching_the_denoiser(history: History) -> None:
    found = history.planned.json
    assert history.planned.code == 0
    assert found["evaluations"] == {
        "standard": 16,
        "planned": 9,
        "to_execute": 9,
        "to_rebuild": None,
        "to_measure": 0,
        "to_measure_to_rebuild": None,
    }
    assert found["partitions"]["total"] == found["partitions"]["to_run"] == 2
    assert sorted(found["partitions"]["sizes"].values()) == [2, 2]
    assert not any(name.startswith(("out/trial/states/", "out/trial/images/")) for name in history.after_plan)


def test_plan_adopts_nothing(history: History) -> None:
    assert "out/trial/current.json" not in history.after_plan
    assert ".hierflow" not in history.after_plan


def test_plan_knows_a_time_only_after_a_run_has_measured_it(history: History, finished: Path) -> None:
    assert history.planned.json["seconds"] is None
    after = command("plan", finished, "--json").json
    assert after["seconds"] > 0
    assert after["evaluations"]["to_execute"] == 0
    assert after["partitions"]["to_run"] == 0
    shown = command("plan", finished).stdout
    assert "at the pace last measured" in shown


def test_status_shows_what_is_there(finished: Path) -> None:
    found = command("status", finished, "--json")
    assert found.code == 0
    assert found.json["images"] == 4
    assert found.json["complete"] is True
    assert found.json["partitions"] == {"total": 2, "to_run": []}
    assert found.json["failed"] == []
    (finished.parent / "out/trial" / rows_of(finished)[0]["image_path"]).unlink()
    assert len(command("status", finished, "--json").json["partitions"]["to_run"]) == 1


def test_audit_shows_balanced_books(finished: Path) -> None:
    found = command("audit", finished, "--json")
    assert found.code == 0
    books = found.json["books"]
    assert books["balanced"] is True
    assert (books["planned"], books["executed"], books["reused"]) == (9, 9, 0)
    shown = command("audit", finished)
    assert "the books balance" in shown.stdout


def test_audit_says_that_no_gpu_was_used_and_where_its_page_lies(finished: Path) -> None:
    found = command("audit", finished, "--json").json
    assert found["gpu"] == {"seconds": 0, "names": [], "kwh": None, "metered_seconds": 0, "note": "no GPU was used"}
    assert found["cost"] is None
    assert (found["by"], found["page"]) == ({}, str(finished.parent / "out/trial/audit.html"))
    assert "no GPU was used" in command("audit", finished).stdout
    assert "43.8%" in Path(found["page"]).read_text("utf-8")


def test_audit_by_a_column_sums_to_the_whole(finished: Path) -> None:
    found = command("audit", finished, "--json", "--by", "prompt_id", "--by", "partition").json["by"]
    assert {column: len(values) for column, values in found.items()} == {"prompt_id": 4, "partition": 2}
    for values in found.values():
        totals = {name: sum(value[name] for value in values) for name in ("images", "standard", "planned", "paid")}
        assert totals == pytest.approx({"images": 4, "standard": 16, "planned": 9, "paid": 9})
    shown = command("audit", finished, "--by", "partition").stdout
    assert "by partition" in shown
    assert shown.splitlines()[-1].split() == ["all", "4", "16.0", "9.0", "43.8%", "9.0"]


def test_audit_tells_what_the_runs_since_a_day_made_and_saved(finished: Path) -> None:
    found = command("audit", finished, "--json", "--since", "2000-01-01").json
    (look_ahead, run), total = found["past_runs"], found["past_total"]
    assert (run["images"], run["executed"], run["saved_evaluations"]) == (4, 9, 7)
    assert run["seconds_saved"] > 0
    assert (look_ahead["images"], look_ahead["executed"], look_ahead["seconds_saved"]) == (0, 0, 0)
    assert {name: total[name] for name in ("runs", "untold", "images", "executed", "saved_evaluations")} == {
        "runs": 2,
        "untold": 0,
        "images": 4,
        "executed": 9,
        "saved_evaluations": 7,
    }
    assert total["seconds"] == pytest.approx(look_ahead["seconds"] + run["seconds"])
    assert command("audit", finished, "--json").json == found
    shown = command("audit", finished, "--since", "2000-01-01").stdout
    assert "all runs since 2000-01-01, whatever plans they were for" in shown
    later = command("audit", finished, "--json", "--since", "2200-01-01").json
    assert (later["past_runs"], later["past_total"]["runs"], later["books"]) == ([], 0, found["books"])


@pytest.mark.parametrize("since", ["yesterday", "2026-13-01", ""])
def test_audit_since_what_is_no_day_is_wrong_input(finished: Path, since: str) -> None:
    ended = command("audit", finished, "--json", "--since", since)
    assert ended.code == 2
    assert ended.json["error"].startswith(f"--since: {since!r} is not a day; write it as year, month and day")


def test_audit_by_a_column_that_does_not_exist_is_wrong_input(finished: Path) -> None:
    ended = command("audit", finished, "--json", "--by", "campaign")
    assert ended.code == 2
    assert ended.json["error"] == (
        "--by: 'campaign' is not a column of the prompts; "
        "name one of seed, negative_prompt, image_width, image_height, prompt_id, partition."
    )


def test_status_and_audit_write_nothing(finished: Path) -> None:
    before = snapshot(finished.parent)
    command("status", finished)
    command("audit", finished)
    assert snapshot(finished.parent) == before


def test_a_set_can_be_moved_with_its_document(finished: Path) -> None:
    found = run(finished).json
    assert found["evaluations"]["executed"] == 0
    assert found["partitions"]["run"] == 0
    assert found["manifest"] == str(finished.parent / "out" / "trial" / "manifest.parquet")


def test_without_json_a_run_is_told_in_words(finished: Path) -> None:
    ended = command("run", finished)
    assert ended.code == 0
    for part in ("4 of 4 prompts", "0 run, 2 up to date", "0 executed, 9 reused of 9", "43.8%", "gallery.html"):
        assert part in ended.stdout


def test_a_lost_image_is_decoded_again_from_its_latents(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = images_of(finished)
    row = rows_of(finished)[0]
    lost = finished.parent / "out/trial" / row["image_path"]
    lost.unlink()
    found = run(finished).json
    assert found["partitions"]["run"] == 1
    assert found["evaluations"]["executed"] == 0
    assert lost.is_file()
    assert manifest_of(finished).num_rows == 4
    after = images_of(finished)
    assert {name: png for name, png in after.items() if name != row["prompt"]} == {
        name: png for name, png in before.items() if name != row["prompt"]
    }


def test_the_environment_is_left_as_it_was(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    launched(finished)
    assert "DAGSTER_HOME" not in os.environ
    home = finished.parent / "elsewhere"
    home.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    done = launched(finished)
    assert os.environ["DAGSTER_HOME"] == str(home)
    assert done.problems == []
    assert list(home.iterdir())  # a fresh instance, which adopts what the store holds
    assert (done.run, len(done.skipped)) == ([], 2)
