"""A first look at some prompts: it costs its own steps only, and the full run makes exactly the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hierflow.document import load_document
from hierflow.prompts import load_prompts
from hierflow_tests.image_sets import command, images_of, manifest_of, rows_of, run, write_document
from hierflow_tests.stages.runs import spoil_first_image
from hierflow_tests.test_cli import CONTRACT, MORE
from hierflow_tests.tiny_models import tiny_learned

__all__ = ["tiny_learned"]

PROMPTS = [f"a {color} {thing}" for thing in ("mug", "chair") for color in ("red", "blue", "green")]


def written(folder: Path, model: Path, prompts: list[str] = PROMPTS, **changes: Any) -> Path:
    """Six prompts in partitions of up to two below a trunk, two images each."""
    folder.mkdir(exist_ok=True)
    return write_document(
        folder,
        prompts={"text": prompts},
        diffusion={"model": str(model), "steps": 4, "prior_steps": 2, "images_per_prompt": 2},
        sharing={"tau": 1.2, "checkpoint_every": 0},
        partitions={"max_prompts": 2},
        **changes,
    )


def ids_of(document: Path) -> dict[str, str]:
    """The id of each prompt."""
    prompts = load_prompts(load_document(document).prompts, document.parent)
    return dict(zip(prompts.texts, prompts.ids, strict=True))


def books_of(document: Path) -> dict[str, Any]:
    """The books of the last run, which balance; as those of all runs do."""
    found = json.loads((document.parent / "out/trial/audit.json").read_text("utf-8"))
    for account in ("this_run", "all_runs_of_this_plan"):
        assert found[account]["books"]["balanced"], found[account]["books"]
    books: dict[str, Any] = found["this_run"]["books"]
    return books


def statuses(document: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in rows_of(document):
        found.setdefault(row["status"], set()).add(row["prompt"])
    return found


def test_a_limited_run_and_the_full_one_make_together_what_one_full_run_makes(
    tiny_learned: Path, tmp_path: Path
) -> None:
    document, at_once = written(tmp_path / "a", tiny_learned), written(tmp_path / "b", tiny_learned)
    foreseen = command("plan", document, "--json", "--limit", 3).json
    first = command("run", document, "--json", "--limit", 3)
    assert first.code == 0, first.stderr
    assert first.json.keys() == (CONTRACT | MORE).keys()
    assert (first.json["complete"], first.json["images"], first.json["prompts"]) == (False, 6, 6)
    assert first.json["wanted"] == 12
    partitions = first.json["partitions"]
    assert partitions["run"] == foreseen["partitions"]["to_run"]
    assert partitions["run"] + partitions["skipped"] == partitions["total"]
    assert partitions["failed"] == 0
    assert first.json["quality"] is None
    executed = first.json["evaluations"]["executed"]
    assert executed == foreseen["evaluations"]["to_execute"] == books_of(document)["executed"]
    assert books_of(document)["outstanding"] == first.json["evaluations"]["planned"] - executed > 0
    made = statuses(document)
    assert {status: len(prompts) for status, prompts in made.items()} == {"current": 3, "pending": 3}
    assert {ids_of(document)[prompt] for prompt in made["current"]} == set(foreseen["selected"])
    assert sum(row["evaluations_paid"] for row in rows_of(document)) <= executed
    early = {
        row["image_path"]: (document.parent / "out/trial" / row["image_path"]).stat().st_mtime_ns
        for row in rows_of(document)
        if row["image_path"]
    }

    status = command("status", document, "--json").json
    assert (status["pending"], status["failed"]) == (6, [])
    assert len(status["partitions"]["to_run"]) == partitions["total"]

    again = command("run", document, "--json", "--limit", 3)
    assert (again.code, again.json["evaluations"]["executed"], again.json["partitions"]["run"]) == (0, 0, 0)

    full, whole = run(document).json, run(at_once).json
    assert full["complete"]
    assert (
        full["evaluations"]["executed"] + executed
        == whole["evaluations"]["executed"]
        == full["evaluations"]["planned"]
    )
    assert full["evaluations"]["reused"] == executed
    assert full["evaluations"]["replayed"] == full["evaluations"]["redone"] == 0
    assert books_of(document)["outstanding"] == 0
    for path, changed in early.items():
        assert (document.parent / "out/trial" / path).stat().st_mtime_ns == changed
    assert _without_runs(document) == _without_runs(at_once)
    assert images_of(document) == images_of(at_once)
    assert full["quality"] is not None


def test_only_makes_exactly_the_prompts_of_the_given_ids(tiny_learned: Path, tmp_path: Path) -> None:
    document = written(tmp_path, tiny_learned)
    chosen = [ids_of(document)[prompt] for prompt in (PROMPTS[0], PROMPTS[4])]
    ended = command("run", document, "--json", "--only", chosen[0], "--only", chosen[1])
    assert (ended.code, ended.json["images"], ended.json["complete"]) == (0, 4, False)
    assert statuses(document)["current"] == {PROMPTS[0], PROMPTS[4]}
    written(tmp_path, tiny_learned, [*PROMPTS[:5], "a green hat"])  # the tree is kept, and so are the images
    before = images_of_current(document)
    foreseen = command("plan", document, "--json").json
    assert foreseen["images_changed"] == 0
    shown = command("run", document, "--limit", 100)
    assert shown.code == 0
    assert "asked for" not in shown.stdout
    assert before.items() <= images_of_current(document).items()
    assert books_of(document)["executed"] == foreseen["evaluations"]["to_execute"]


def images_of_current(document: Path) -> dict[tuple[str, int], bytes]:
    folder = document.parent / "out/trial"
    return {
        (row["prompt"], row["image_index"]): (folder / row["image_path"]).read_bytes()
        for row in rows_of(document)
        if row["status"] == "current"
    }


@pytest.mark.parametrize(
    ("options", "file", "value"),
    [
        (["--limit", "0"], "--limit", 0),
        (["--limit", "-3"], "--limit", -3),
        (["--only", "nobody"], "--only", "'nobody'"),
        (["--limit", "2", "--only", "nobody"], "--limit", None),
        (["--limit", "2", "--rebuild"], "--limit", None),
        (["--only", "nobody", "--rebuild"], "--only", None),
    ],
)
@pytest.mark.parametrize("verb", ["plan", "run"])
def test_a_selection_that_cannot_be_is_refused_before_any_work(
    tiny_learned: Path, tmp_path: Path, verb: str, options: list[str], file: str, value: object
) -> None:
    document = written(tmp_path, tiny_learned)
    ended = command(verb, document, "--json", *options)
    assert ended.code == 2
    assert ended.json["error"].startswith(f"{file}: " if value is None else f"{file}: {value} is ")
    assert list(tmp_path.iterdir()) == [document]


def test_what_fails_of_the_prompts_asked_for_fails_the_run(
    tiny_learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = written(tmp_path, tiny_learned)
    with monkeypatch.context() as patch:
        spoil_first_image(patch)
        ended = command("run", document, "--json", "--limit", 2)
    assert ended.code == 1
    assert (ended.json["images"], ended.json["partitions"]["failed"]) == (3, 1)
    assert {status: len(prompts) for status, prompts in statuses(document).items()} == {
        "current": 2,
        "failed": 1,
        "pending": 4,
    }
    again = command("run", document, "--json", "--limit", 2)
    assert (again.code, again.json["images"], again.json["evaluations"]["executed"]) == (0, 4, 0)


def _without_runs(document: Path) -> list[dict[str, Any]]:
    table = manifest_of(document)
    rows = table.drop_columns(["run_id", "evaluations_paid"]).to_pylist()
    paid = [round(value, 6) for value in table["evaluations_paid"].to_pylist()]
    return [{**row, "paid": own} for row, own in zip(rows, paid, strict=True)]
