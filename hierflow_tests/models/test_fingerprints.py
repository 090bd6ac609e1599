"""A model is what its files hold, whatever it is called and wherever it lies."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from hierflow.errors import InputError
from hierflow.models import fingerprint
from hierflow.models.cache import cache_folder
from hierflow.models.fingerprint import folder_fingerprint
from hierflow.models.repository import Repository


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A component's folder, with a cache of its own."""
    monkeypatch.setenv("HIERFLOW_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "unet"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(bytes(range(256)))
    return folder


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files whose content is read from now on."""
    names: list[str] = []
    real = hashlib.file_digest

    def noted(file: Any, algorithm: str) -> Any:
        names.append(Path(file.name).name)
        return real(file, algorithm)

    monkeypatch.setattr(fingerprint.hashlib, "file_digest", noted)
    return names


def test_one_changed_byte_changes_the_fingerprint(folder: Path) -> None:
    before = folder_fingerprint(folder)
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[100] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    os.utime(folder / "model.safetensors", ns=(1, 1))
    assert folder_fingerprint(folder) != before


def test_names_and_further_files_count_and_pickles_do_not(folder: Path) -> None:
    before = folder_fingerprint(folder)
    (folder / "pytorch_model.bin").write_bytes(b"pickled")
    assert folder_fingerprint(folder) == before
    (folder / "config.json").rename(folder / "other.json")
    renamed = folder_fingerprint(folder)
    (folder / "vocab.txt").write_text("a")
    assert len({before, renamed, folder_fingerprint(folder)}) == 3


def test_a_copy_is_the_same_model(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    assert folder_fingerprint(tmp_path / "copy") == folder_fingerprint(folder)


def test_a_file_is_read_once_until_it_changes(folder: Path, hashed: list[str]) -> None:
    first = folder_fingerprint(folder)
    assert hashed == ["config.json", "model.safetensors"]
    assert folder_fingerprint(folder) == first
    assert len(hashed) == 2
    os.utime(folder / "config.json", ns=(5, 5))
    assert folder_fingerprint(folder) == first
    assert hashed[2:] == ["config.json"]
    with (folder / "model.safetensors").open("ab") as file:
        file.write(b"!")
    assert folder_fingerprint(folder) != first
    assert hashed[3:] == ["model.safetensors"]


def test_a_broken_cache_costs_time_only(folder: Path, hashed: list[str]) -> None:
    first = folder_fingerprint(folder)
    (cache_folder() / "fingerprints.json").write_text('{"torn')
    assert folder_fingerprint(folder) == first
    assert len(hashed) == 4


def test_a_cache_that_cannot_be_written_costs_time_only(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = folder_fingerprint(folder)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HIERFLOW_CACHE", str(tmp_path / "file" / "cache"))
    assert folder_fingerprint(folder) == first


def test_a_folder_without_model_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "pytorch_model.bin").write_bytes(b"pickled")
    with pytest.raises(InputError, match=r"unet: holds no model files; .*safetensors"):
        folder_fingerprint(tmp_path / "unet")


def test_a_hub_model_is_its_commit(folder: Path, hashed: list[str]) -> None:
    repository = Repository(folder.parent, commit="abc")
    assert repository.fingerprint("unet") == Repository(Path("/elsewhere"), commit="abc").fingerprint("unet")
    assert repository.fingerprint("unet") != repository.fingerprint("movq")
    assert repository.fingerprint("unet") != Repository(folder.parent, commit="abd").fingerprint("unet")
    assert hashed == []


@pytest.mark.parametrize("content", ["[]", "3", '{"x": 3}', '{"x": {"size": 1}}', "{", ""])
def test_a_cache_of_something_else_is_forgotten(folder: Path, content: str) -> None:
    before = folder_fingerprint(folder)
    (cache_folder() / "fingerprints.json").write_text(content.replace("x", str((folder / "config.json").resolve())))
    assert folder_fingerprint(folder) == before
