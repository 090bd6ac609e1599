"""Images by prompt id in a local folder: copied or linked, never over other content, complete sets only."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow.parquet as pq
import pytest

from hierflow.images import ImageRow, read_manifest
from hierflow.plan.lanes import Variant
from hierflow.stages.reports.export import export_names
from hierflow_tests.image_sets import Ended, command, rows_of, run, write_document
from hierflow_tests.tiny_models import tiny_learned

__all__ = ["tiny_learned"]

IDS = {"M-1": "a red mug", "M-2": "a blue mug", "../chairs/a": "a red chair"}


def written(folder: Path, model: Path, ids: dict[str, str], **changes: object) -> Path:
    with (folder / "prompts.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("id", "prompt"), *ids.items()])
    return write_document(
        folder,
        prompts={"table": "prompts.csv", "id_column": "id"},
        diffusion={"model": str(model), "steps": 2, "prior_steps": 2},
        **changes,
    )


@pytest.fixture(scope="module")
def made(tiny_learned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The document of a complete set."""
    document = written(tmp_path_factory.mktemp("made"), tiny_learned, IDS)
    assert run(document).code == 0
    return document


@pytest.fixture
def document(made: Path, tmp_path: Path) -> Path:
    """The same set in a folder of its own."""
    return Path(shutil.copytree(made.parent, tmp_path / "set")) / made.name


def export(document: Path, folder: Path | str, *options: str) -> Ended:
    return command("export", document, folder, "--json", *options)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def images_by_id(document: Path) -> dict[str, bytes]:
    folder = document.parent / "out/trial"
    return {row["prompt_id"]: (folder / row["image_path"]).read_bytes() for row in rows_of(document)}


def test_images_are_copied_by_id_and_a_second_export_copies_nothing(document: Path, tmp_path: Path) -> None:
    folder, images = tmp_path / "new" / "export", images_by_id(document)
    first = export(document, folder)
    assert first.code == 0, first.stderr
    expected = {"name": "trial", "directory": str(folder), "images": 3, "copied": 3, "linked": 0, "unchanged": 0}
    assert first.json == {**expected, "complete": True, "manifest": str(folder / "manifest.parquet")}
    assert "exporting images" in first.stderr
    found = files_of(folder)
    manifest = read_manifest(found.pop("manifest.parquet"))
    names = dict(zip(manifest["prompt_id"].to_pylist(), manifest["image_path"].to_pylist(), strict=True))
    assert {prompt_id: found[name] for prompt_id, name in names.items()} == images
    assert sorted(found) == sorted(names.values())
    assert (names["M-1"], names["M-2"]) == ("M-1.png", "M-2.png")
    assert "/" not in names["../chairs/a"]

    times = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.png")}
    second = export(document, folder)
    assert (second.json["copied"], second.json["unchanged"]) == (0, 3)
    assert {path.name: path.stat().st_mtime_ns for path in folder.glob("*.png")} == times
    (folder / "M-1.png").unlink()
    assert (export(document, folder).json["copied"], files_of(folder)["M-1.png"]) == (1, images["M-1"])


def test_links_share_the_bytes_with_the_store(document: Path, tmp_path: Path) -> None:
    ended = export(document, tmp_path / "export", "--link")
    assert (ended.code, ended.json["linked"], ended.json["copied"]) == (0, 3, 0)
    row = next(row for row in rows_of(document) if row["prompt_id"] == "M-1")
    assert (tmp_path / "export/M-1.png").samefile(document.parent / "out/trial" / row["image_path"])


def test_other_content_is_never_overwritten(document: Path, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "M-1.png").write_bytes(b"mine")
    (folder / "M-2.png").symlink_to(tmp_path / "nothing")
    (folder / "manifest.parquet").write_bytes(b"mine, too")
    before = sorted(folder.iterdir())
    ended = export(document, folder)
    assert ended.code == 2
    assert "holds other content under 3 of the names: M-1.png, M-2.png, manifest.parquet" in ended.json["error"]
    assert sorted(folder.iterdir()) == before
    assert (folder / "M-1.png").read_bytes() == b"mine"


def test_a_folder_with_the_export_of_another_set_is_refused(document: Path, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    assert export(document, folder).code == 0
    manifest = folder / "manifest.parquet"
    table = pq.read_table(manifest)
    pq.write_table(table.replace_schema_metadata({b"hierflow.set": b"spring"}), manifest)
    assert export(document, folder).code == 2


def test_images_of_removed_prompts_stay(document: Path, tmp_path: Path, tiny_learned: Path) -> None:
    folder = tmp_path / "export"
    export(document, folder)
    written(document.parent, tiny_learned, {key: IDS[key] for key in ("M-1", "M-2")})
    assert run(document).code == 0
    ended = export(document, folder)
    assert (ended.json["images"], ended.json["unchanged"]) == (2, 2)
    assert "no images of the set: 1;" in ended.stderr
    assert len(list(folder.glob("*.png"))) == 3
    assert read_manifest((folder / "manifest.parquet").read_bytes()).num_rows == 2


def test_what_is_not_complete_is_exported_only_in_part(tiny_learned: Path, tmp_path: Path) -> None:
    document = written(tmp_path, tiny_learned, IDS)
    folder = tmp_path / "export"
    assert export(document, folder).code == 2  # never run
    assert command("run", document, "--only", "M-2").code == 0
    refused = export(document, folder)
    assert (refused.code, folder.exists()) == (2, False)
    assert "1 of 3 images are made" in refused.json["error"]
    ended = export(document, folder, "--partial")
    assert (ended.code, ended.json["images"], ended.json["complete"]) == (0, 1, False)
    table = read_manifest((folder / "manifest.parquet").read_bytes())
    assert table["image_path"].to_pylist() == ["", "M-2.png", ""]
    assert table["status"].to_pylist() == ["pending", "current", "pending"]
    assert run(document).code == 0
    assert export(document, folder).json["unchanged"] == 1


def test_a_damaged_image_is_not_exported(document: Path, tmp_path: Path) -> None:
    row = next(row for row in rows_of(document) if row["prompt_id"] == "M-1")
    stored = document.parent / "out/trial" / row["image_path"]
    stored.write_bytes(stored.read_bytes()[::-1])
    ended = export(document, tmp_path / "export")
    assert ended.code == 1
    assert row["image_path"] in ended.json["error"]
    assert len(list((tmp_path / "export").glob("*.png"))) == 2
    assert not (tmp_path / "export/M-1.png").exists()


@pytest.mark.parametrize("folder", ["s3://bucket/x", "{set}/out/trial/images", "{set}/set.yaml", "{set}/set.yaml/x"])
def test_a_folder_that_cannot_be_used_is_refused(document: Path, folder: str) -> None:
    ended = export(document, folder.format(set=document.parent))
    assert ended.code == 2
    assert ended.json["error"].startswith("DIR: ")


@pytest.fixture
def remote(made: Path, tmp_path: Path) -> Iterator[Path]:
    """The document of the same set in an object store."""
    store = fsspec.filesystem("memory")
    store.put(str(made.parent / "out/trial"), "/exports/trial", recursive=True)
    store.rm("/exports/trial/set.json")
    document = tmp_path / made.name
    document.write_text(made.read_text("utf-8").replace("./out", "memory://exports"), "utf-8")
    shutil.copy(made.parent / "prompts.csv", tmp_path)
    yield document
    store.rm("/exports", recursive=True)


def test_an_object_store_is_exported_into_a_local_folder(
    made: Path, remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert export(remote, "~/export", "--link").code == 2
    ended = export(remote, "~/export")
    assert (ended.code, ended.json["copied"], ended.json["directory"]) == (0, 3, str(tmp_path / "export"))
    assert set(images_by_id(made).values()) <= set(files_of(tmp_path / "export").values())


def row(prompt_id: str, index: int = 0) -> ImageRow:
    return ImageRow(prompt_id, index, "a mug", {}, Variant(0, 8, 8), "", "", "", "", 0.0, 0.0, "")


@pytest.mark.parametrize("prompt_id", ["M-1", "a mug (1)", "été", "猫_1", "v1.2", "x" * 180])
def test_an_id_that_every_system_takes_is_the_name(prompt_id: str) -> None:
    assert export_names([row(prompt_id)]) == [f"{prompt_id}.png"]


@pytest.mark.parametrize(
    "prompt_id",
    [
        *("a/b", "..", ".", "../../etc/passwd", "/root", "a\\b", "c:x", "-rf", ".hidden", "end.", "con", "NUL.x"),
        *("", " ", "x" * 181, "猫" * 90, "e\u0301", "a\0b", "a\nb", "*", "a?"),
    ],
)
def test_any_other_id_is_spelled_as_its_slug_and_its_hash(prompt_id: str) -> None:
    (name,) = export_names([row(prompt_id)])
    assert Path(name).name == name
    assert name.isascii()
    assert name.islower()
    assert export_names([row(prompt_id), row("other")])[0] == name


def test_names_differ_also_where_case_does_not_count() -> None:
    names = export_names([row("M-1"), row("m-1"), row("M-2")])
    assert len({name.casefold() for name in names}) == 3
    assert names[2] == "M-2.png"


def test_of_several_images_each_has_its_index() -> None:
    rows = [row("a", 0), row("a", 1), row("a-1", 0), row("a-1", 1)]
    assert export_names(rows) == ["a-0.png", "a-1.png", "a-1-0.png", "a-1-1.png"]
