"""What a finished set holds: files that say where they come from, a manifest that matches them, a safe gallery."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hierflow.hashing import bytes_digest
from hierflow.images import decode_png, read_provenance
from hierflow_tests.image_sets import rows_of, run, write_document

SCRIPT = "<script>alert(1)</script>"
TABLE = f"""sku,prompt,shelf
../../x,a red mug,1
second,a red mug,2
third,a blue mug {SCRIPT},3
fourth,a red chair,4
"""


@dataclass(frozen=True)
class Made:
    """A finished set: two ids for one text, an id like a path, a prompt like a script, two images a prompt."""

    folder: Path
    found: dict[str, Any]
    rows: list[dict[str, Any]]

    def png(self, row: dict[str, Any]) -> bytes:
        """The row's file."""
        return (self.folder / str(row["image_path"])).read_bytes()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("set")
    (folder / "table.csv").write_text(TABLE, "utf-8")
    document = write_document(
        folder,
        prompts={"table": "table.csv", "id_column": "sku"},
        diffusion={"images_per_prompt": 2, "seed": 5, "scheduler": "ddim", "guidance_scale": 3.0},
    )
    ended = run(document)
    assert ended.code == 0, ended.stderr
    return Made(folder / "out" / "trial", ended.json, rows_of(document))


def test_the_manifest_has_a_row_an_image(made: Made) -> None:
    assert [(row["prompt_id"], row["image_index"]) for row in made.rows] == [
        (prompt_id, index) for prompt_id in ("../../x", "second", "third", "fourth") for index in (0, 1)
    ]
    assert (made.found["prompts"], made.found["images"]) == (4, 8)
    assert [str(row["shelf"]) for row in made.rows] == list("11223344")


def test_checksums_in_the_manifest_are_the_files(made: Made) -> None:
    for row in made.rows:
        assert bytes_digest(made.png(row)) == row["image_sha256"]


def test_files_lie_inside_the_sets_folder_whatever_the_id(made: Made) -> None:
    images = (made.folder / "images").resolve()
    paths = {(made.folder / row["image_path"]).resolve() for row in made.rows}
    assert len(paths) == len(made.rows)
    assert all(path.is_relative_to(images) for path in paths)
    root = made.folder.parent.parent
    assert {path.name for path in root.iterdir()} == {"set.yaml", "table.csv", "out", ".hierflow"}
    assert {path.name for path in (root / "out").iterdir()} == {"trial"}


def test_a_text_under_two_ids_is_denoised_once_and_given_twice(made: Made) -> None:
    by_key = {(row["prompt_id"], row["image_index"]): row for row in made.rows}
    for index in (0, 1):
        one, other = by_key["../../x", index], by_key["second", index]
        assert one["image_path"] != other["image_path"]
        assert (decode_png(made.png(one)) == decode_png(made.png(other))).all()
        assert one["node_path"] == other["node_path"]
    assert made.found["evaluations"]["standard"] == 3 * 2 * 4  # three texts, two images, four steps


def test_the_images_of_a_prompt_differ(made: Made) -> None:
    by_key = {(row["prompt_id"], row["image_index"]): made.png(row) for row in made.rows}
    for prompt_id in ("../../x", "third", "fourth"):
        assert (decode_png(by_key[prompt_id, 0]) != decode_png(by_key[prompt_id, 1])).any()


def test_evaluations_sum_to_the_plan_and_those_paid_to_what_was_executed(made: Made) -> None:
    evaluations = made.found["evaluations"]
    assert sum(row["evaluations"] for row in made.rows) == pytest.approx(evaluations["planned"])
    assert sum(row["evaluations_paid"] for row in made.rows) == pytest.approx(evaluations["executed"])
    assert evaluations["planned"] == evaluations["executed"] > 0


def test_a_file_says_where_it_comes_from(made: Made) -> None:
    for row in made.rows:
        told = read_provenance(made.png(row))
        assert {name: told[name] for name in ("prompt", "prompt_id", "image_index", "node_path")} == {
            name: row[name] for name in ("prompt", "prompt_id", "image_index", "node_path")
        }
        assert {
            name: told[name] for name in ("set", "seed", "steps", "guidance_scale", "scheduler", "model", "tau")
        } == {
            "set": "trial",
            "seed": 5,
            "steps": 4,
            "guidance_scale": 3.0,
            "scheduler": "ddim",
            "model": "mini",
            "tau": 1.5,
        }
        assert len(told["model_fingerprint"]) == len(told["state_id"]) == 64
        assert row["seed"] == 5


def test_a_node_path_covers_every_step_once(made: Made) -> None:
    for row in made.rows:
        spans = [span.split("@")[1].split("-") for span in row["node_path"].split("/")]
        covered = [step for first, last in spans for step in range(int(first), int(last) + 1)]
        assert covered == [1, 2, 3, 4]


def test_every_image_is_scored(made: Made) -> None:
    assert all(len(row["scores"]) == 1 for row in made.rows)


def test_the_gallery_shows_prompts_as_text(made: Made) -> None:
    page = (made.folder / "gallery.html").read_text("utf-8")
    assert SCRIPT not in page
    assert "alert(1)" in page
    for row in made.rows:
        assert row["image_path"] in page


def test_the_audit_is_stored_beside_the_set(made: Made) -> None:
    account = json.loads((made.folder / "audit.json").read_text("utf-8"))
    assert account["this_run"]["books"]["balanced"] is True
    assert account["all_runs_of_this_plan"]["books"]["executed"] == made.found["evaluations"]["executed"]
