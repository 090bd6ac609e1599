"""What goes wrong in a run costs what it touches, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hierflow.models.families.kandinsky22 import Kandinsky22
from hierflow_tests.image_sets import command, images_of, rows_of, run, snapshot, write_document


@pytest.fixture
def break_call(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """`break_call("decode", 2)` makes the second call of the model's `decode` raise."""

    def broken(method: str, nth: int) -> None:
        calls, real = [0], getattr(Kandinsky22, method)

        def call(self: Kandinsky22, *arguments: Any, **named: Any) -> Any:
            calls[0] += 1
            if calls[0] == nth:
                raise RuntimeError(f"{method} fell over")
            return real(self, *arguments, **named)

        monkeypatch.setattr(Kandinsky22, method, call)

    return broken


def _status_counts(document: Path) -> dict[str, int]:
    found = [row["status"] for row in rows_of(document)]
    return {status: found.count(status) for status in set(found)}


def _books(document: Path) -> dict[str, Any]:
    account = json.loads((document.parent / "out/trial/audit.json").read_text("utf-8"))
    books: dict[str, Any] = account["this_run"]["books"]
    return books


def test_a_partition_that_fails_while_denoising_holds_up_no_other(
    tmp_path: Path, break_call: Callable[[str, int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    document = write_document(tmp_path)
    break_call("predict", 3)  # the trunk takes one call, and each partition one a step

    ended = run(document)
    found = ended.json
    assert ended.code == 1
    assert found["complete"] is False
    assert found["partitions"] == {"total": 2, "run": 1, "skipped": 0, "failed": 1, "left": {}}
    assert found["images"] == 2
    assert found["evaluations"]["executed"] == 6  # the trunk's, one step of the failed partition, and the other's
    assert Path(found["gallery"]).is_file()
    assert _status_counts(document) == {"current": 2, "failed": 2}
    for row in rows_of(document):
        assert ("predict fell over" in row["error"]) == (row["status"] == "failed")
        assert bool(row["image_path"]) == (row["status"] == "current")
    assert _books(document)["balanced"] is True
    assert _books(document)["outstanding"] == 3

    status = command("status", document, "--json")
    assert status.json["complete"] is False
    assert len(status.json["failed"]) == 2
    assert len(status.json["partitions"]["to_run"]) == 1

    monkeypatch.undo()
    again = run(document)
    assert again.code == 0
    assert again.json["complete"] is True
    assert again.json["images"] == 4
    assert again.json["partitions"] == {"total": 2, "run": 1, "skipped": 1, "failed": 0, "left": {}}
    assert again.json["evaluations"] == {
        "standard": 16,
        "planned": 9,
        "executed": 4,
        "reused": 6,
        "replayed": 0,
        "redone": 1,
    }
    assert _status_counts(document) == {"current": 4}
    assert all(row["error"] == "" for row in rows_of(document))
    assert command("audit", document).code == 0


def test_the_last_good_image_stays_flagged_outdated(
    tmp_path: Path, break_call: Callable[[str, int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    document = write_document(tmp_path)
    assert run(document).code == 0
    before, files = images_of(document), {row["prompt"]: row for row in rows_of(document)}

    write_document(tmp_path, diffusion={"seed": 1})
    break_call("decode", 1)
    ended = run(document)
    assert ended.code == 1
    assert ended.json["complete"] is False
    assert ended.json["images"] == 2
    assert _status_counts(document) == {"current": 2, "outdated": 2}
    after = images_of(document)
    for row in rows_of(document):
        was = files[row["prompt"]]
        outdated = row["status"] == "outdated"
        assert (after[row["prompt"]] == before[row["prompt"]]) is outdated
        assert (row["run_id"] == was["run_id"]) is outdated
        assert ("decode fell over" in row["error"]) is outdated
    page = Path(ended.json["gallery"]).read_text("utf-8")
    assert "outdated" in page

    monkeypatch.undo()
    again = run(document)
    assert again.code == 0
    assert again.json["evaluations"]["executed"] == 0  # the latents were stored before decoding failed
    assert _status_counts(document) == {"current": 4}
    assert all(images_of(document)[prompt] != png for prompt, png in before.items())


def test_a_plan_that_fails_prints_its_object_and_keeps_what_was_there(
    tmp_path: Path, break_call: Callable[[str, int], None]
) -> None:
    document = write_document(tmp_path)
    break_call("encode", 1)
    ended = run(document)
    assert ended.code == 1
    assert ended.json["complete"] is False
    assert "encode fell over" in ended.json["error"]
    assert ended.json.keys() >= {"name", "partitions", "evaluations", "saved", "seconds", "manifest", "gallery"}


def test_a_damaged_pointer_is_reported_and_nothing_is_lost(tmp_path: Path) -> None:
    document = write_document(tmp_path)
    assert command("plan", document).code == 0
    (tmp_path / "out/trial/current.json").write_text('{"plan": "torn', "utf-8")
    before = snapshot(tmp_path)
    ended = command("status", document, "--json")
    assert ended.code == 1
    assert "current.json" in ended.json["error"]
    assert snapshot(tmp_path) == before


def test_after_a_damaged_pointer_and_mark_every_command_goes_on_and_says_so_on_stderr(tmp_path: Path) -> None:
    document = write_document(tmp_path)
    assert run(document).code == 0
    pictures, pointer = images_of(document), tmp_path / "out/trial/current.json"
    for torn in (pointer, pointer.with_name("set.json")):
        torn.write_bytes(torn.read_bytes()[:-7])
    for name in ("plan", "status", "audit", "run"):
        ended = command(name, document, "--json")
        assert ended.code == 0, name
        assert ended.stderr.count("the current plan is lost") == 1, name
        assert "current.json" in ended.stderr
    assert images_of(document) == pictures
    assert "lost" not in command("run", document, "--json").stderr
