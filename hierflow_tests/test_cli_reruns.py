"""A set that has run, edited prompt by prompt, through the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hierflow.models.loaded import LoadedModel
from hierflow_tests.image_sets import FOUR, command, images_of, rows_of, run, write_document
from hierflow_tests.no_work import refuse_work


def told(folder: Path, prompts: list[str]) -> Path:
    """A document that reads its prompts from a file, and that file."""
    (folder / "prompts.txt").write_text("\n".join(prompts) + "\n", "utf-8")
    return write_document(folder, prompts={"file": "prompts.txt"}, sharing={"tau": 1.5})


def ran(document: Path) -> dict[str, Any]:
    """What a run that succeeds prints; whatever it executed, the books of it balance."""
    ended = run(document)
    assert ended.code == 0
    found, evaluations = ended.json, ended.json["evaluations"]
    assert found["complete"]
    spent = evaluations["planned"] - evaluations["reused"] + evaluations["replayed"] + evaluations["redone"]
    assert evaluations["executed"] == spent
    rows = rows_of(document)
    assert sum(row["evaluations"] for row in rows) == pytest.approx(evaluations["planned"])
    return found


def test_what_is_edited_is_paid_for_and_no_other_image_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = told(tmp_path, FOUR)
    everything = ran(document)["evaluations"]["executed"]
    founding = images_of(document)

    edited = [*FOUR[:3], "a green chair"]
    told(tmp_path, edited)
    foreseen = command("plan", document, "--json").json["evaluations"]["to_execute"]
    found = ran(document)
    after = images_of(document)
    assert found["evaluations"]["executed"] == foreseen
    assert 0 < foreseen < everything
    assert found["evaluations"]["executed"] - found["evaluations"]["replayed"] <= 4
    assert {prompt: after[prompt] for prompt in FOUR[:3]} == {prompt: founding[prompt] for prompt in FOUR[:3]}

    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError("something was made again")

    monkeypatch.setattr(LoadedModel, "_load", refuse)
    refuse_work(monkeypatch)

    told(tmp_path, edited[::-1])  # another order
    again = ran(document)
    assert (again["evaluations"]["executed"], again["partitions"]["run"]) == (0, 0)
    assert images_of(document) == after

    told(tmp_path, edited[1:])  # one is removed
    less = ran(document)
    assert (less["evaluations"]["executed"], less["partitions"]["run"]) == (0, 1)
    assert images_of(document) == {prompt: after[prompt] for prompt in edited[1:]}

    told(tmp_path, [*FOUR, "a green chair"])  # and the first comes back, with the one that was edited away
    back = ran(document)
    assert back["evaluations"]["executed"] == 0
    assert images_of(document) == {**founding, **after}
