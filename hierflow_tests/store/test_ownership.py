"""One folder, one document."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from hierflow.errors import InputError
from hierflow.store import SetStore
from hierflow.store.sealed import read_json, write_json
from hierflow_tests.store.damage import damaged_copies


def document(folder: Path, name: str = "catalog.yaml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("type: hierflow.ImageSet")
    return path


def test_a_document_may_claim_its_folder_again_and_again(place: str, tmp_path: Path) -> None:
    for _ in range(2):
        store = SetStore(place, "demo", document(tmp_path / "docs"))
        store.claim()
        store.check_owner()


def test_opening_and_checking_write_nothing(tmp_path: Path) -> None:
    SetStore(str(tmp_path / "out"), "demo", document(tmp_path / "docs")).check_owner()
    assert not (tmp_path / "out").exists()


def test_another_document_with_the_same_name_is_refused_before_it_writes(place: str, tmp_path: Path) -> None:
    SetStore(place, "demo", document(tmp_path / "docs", "first.yaml")).claim()
    second = SetStore(place, "demo", document(tmp_path / "docs", "second.yaml"))
    before = second.files.read("set.json")
    for refuse in (second.check_owner, second.claim):
        with pytest.raises(InputError) as caught:
            refuse()
        sentence = str(caught.value)
        assert "second.yaml: name: 'demo' is the name of another image set at " in sentence
        assert "described by" in sentence
        assert "first.yaml" in sentence
        assert "give this set another name or another storage.path" in sentence
    assert second.files.read("set.json") == before


def test_another_name_in_the_same_storage_is_fine(place: str, tmp_path: Path) -> None:
    SetStore(place, "one", document(tmp_path / "docs", "first.yaml")).claim()
    SetStore(place, "two", document(tmp_path / "docs", "second.yaml")).claim()


def test_a_set_described_in_python_is_no_documents(place: str, tmp_path: Path) -> None:
    SetStore(place, "demo").claim()
    SetStore(place, "demo").claim()
    with pytest.raises(InputError, match="described by python"):
        SetStore(place, "demo", document(tmp_path / "docs")).claim()


def test_moving_document_and_folder_together_changes_no_owner(tmp_path: Path) -> None:
    SetStore(str(tmp_path / "here" / "out"), "demo", document(tmp_path / "here" / "docs")).claim()
    (tmp_path / "here").rename(tmp_path / "there")
    SetStore(str(tmp_path / "there" / "out"), "demo", tmp_path / "there" / "docs" / "catalog.yaml").claim()


def test_moving_the_document_alone_is_refused_with_the_file_to_delete(tmp_path: Path) -> None:
    out = tmp_path / "out"
    SetStore(str(out), "demo", document(tmp_path / "docs")).claim()
    moved = SetStore(str(out), "demo", document(tmp_path / "elsewhere"))
    with pytest.raises(InputError, match="if the document was moved, delete") as caught:
        moved.claim()
    assert str(out / "demo" / "set.json") in str(caught.value)
    (out / "demo" / "set.json").unlink()
    moved.claim()


def test_a_bucket_is_owned_by_folder_and_name_of_the_document_wherever_they_lie(tmp_path: Path) -> None:
    bucket = f"memory://{uuid.uuid4().hex}"
    SetStore(bucket, "demo", document(tmp_path / "here" / "docs")).claim()
    SetStore(bucket, "demo", document(tmp_path / "there" / "docs")).claim()
    with pytest.raises(InputError):
        SetStore(bucket, "demo", document(tmp_path / "there" / "other")).claim()


def test_a_damaged_mark_counts_as_none_and_is_made_again(place: str, tmp_path: Path) -> None:
    store = SetStore(place, "demo", document(tmp_path / "docs"))
    store.claim()
    mark = store.files.read("set.json")
    for damaged in damaged_copies(mark, every=40):
        store.files.write("set.json", damaged)
        store.check_owner()
        assert store.files.read("set.json") == damaged  # looking changes nothing
        store.claim()
        assert store.files.read("set.json") == mark


@pytest.mark.parametrize("in_the_way", ["out", "out/demo"])
def test_a_file_where_the_sets_folder_should_be_is_the_users_fault(tmp_path: Path, in_the_way: str) -> None:
    file = tmp_path / in_the_way
    file.parent.mkdir(exist_ok=True)
    file.write_text("mine")
    store = SetStore(str(tmp_path / "out"), "demo", document(tmp_path / "docs"))
    assert store.plans.current() is None
    with pytest.raises(InputError, match=r"^storage\.path: .* cannot be used as a folder"):
        store.claim()
    assert file.read_text() == "mine"


def test_a_folder_in_another_format_is_refused_before_anything_is_read(place: str, tmp_path: Path) -> None:
    store = SetStore(place, "demo", document(tmp_path / "docs"))
    store.claim()
    write_json(store.files, "set.json", {**read_json(store.files, "set.json"), "format": 1})
    for refuse in (store.check_owner, store.claim):
        with pytest.raises(InputError, match="in format 1, and this hierflow reads 4; use the"):
            refuse()
