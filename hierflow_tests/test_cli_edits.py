"""An edit of the document costs what it changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hierflow.images import decode_png
from hierflow_tests.image_sets import FOUR, command, images_of, manifest_of, rows_of, run, snapshot, write_document
from hierflow_tests.no_work import refuse_work

EDITED = [*FOUR[:3], "a green chair"]


def test_on_a_fresh_tree_an_edited_prompt_costs_its_own_subtree(tmp_path: Path) -> None:
    sharing = {"tau": 1.0, "tree": "fresh"}  # no trunk: mugs and chairs share nothing
    document = write_document(tmp_path, sharing=sharing)
    assert run(document).code == 0
    before, ids = images_of(document), {row["prompt"]: row["prompt_id"] for row in rows_of(document)}
    mugs = [prompt for prompt in FOUR if "mug" in prompt]

    write_document(tmp_path, sharing=sharing, prompts={"text": EDITED})
    foreseen = command("plan", document, "--json").json
    found = run(document).json

    after = images_of(document)
    assert found["partitions"] == {"total": 2, "run": 1, "skipped": 1, "failed": 0, "left": {}}
    assert 0 < found["evaluations"]["executed"] < found["evaluations"]["planned"]
    assert found["evaluations"]["executed"] == foreseen["evaluations"]["to_execute"]
    assert {prompt: after[prompt] for prompt in mugs} == {prompt: before[prompt] for prompt in mugs}
    assert sorted(after) == sorted(EDITED)
    assert all(row["prompt_id"] == ids.get(row["prompt"], row["prompt_id"]) for row in rows_of(document))

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    fresh = write_document(elsewhere, sharing=sharing, prompts={"text": EDITED})
    assert run(fresh).code == 0
    for prompt, png in images_of(fresh).items():
        assert (decode_png(png) == decode_png(after[prompt])).all()


def test_renaming_an_axis_evaluates_and_decodes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    products = ["mug", "chair"]
    document = write_document(
        tmp_path, prompts={"template": "a {color} {product}", "axes": {"color": ["red", "blue"], "product": products}}
    )
    assert run(document).code == 0
    before = images_of(document)
    assert "color" in manifest_of(document).column_names

    write_document(
        tmp_path, prompts={"template": "a {hue} {product}", "axes": {"hue": ["red", "blue"], "product": products}}
    )

    refuse_work(monkeypatch)
    ended = run(document)
    assert ended.code == 0
    assert ended.json["evaluations"]["executed"] == 0
    assert ended.json["partitions"]["run"] == 0
    assert images_of(document) == before
    assert "color" not in manifest_of(document).column_names
    assert manifest_of(document).column("hue").to_pylist() == ["red", "red", "blue", "blue"]


def test_a_bad_edit_loses_nothing(tmp_path: Path) -> None:
    document = write_document(tmp_path)
    assert run(document).code == 0
    faults: list[dict[str, Any]] = [
        {"sharing": {"tau": -1}},
        {"prompts": {"text": []}},
        {"diffusion": {"model": "nonsense"}},
    ]
    for changes in faults:
        write_document(tmp_path, **changes)
        before = snapshot(tmp_path)
        assert command("run", document).code == 2
        assert snapshot(tmp_path) == before
    write_document(tmp_path)
    assert run(document).json["evaluations"]["executed"] == 0
