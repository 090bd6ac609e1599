"""Where the networks of scorers come from, and what of the hub is fetched."""

from __future__ import annotations

import fnmatch
import json
import shutil
from pathlib import Path

import pytest

from hierflow.errors import InputError
from hierflow.models.repository import Repository
from hierflow.scoring.source import locate_network

FIELD = "scoring.vqa"


def locate(name: str, base: Path = Path(), revision: str | None = None) -> Repository:
    return locate_network(name, revision, base, field=FIELD, kinds={"llava"}, what="a Llava")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "judge"
    made.mkdir()
    (made / "config.json").write_text(json.dumps({"model_type": "llava"}))
    (made / "model.safetensors").write_bytes(b"weights")
    return made


class Hub:
    """A hub of one folder, which hands out what matches, in a folder named by the commit."""

    def __init__(self, folder: Path, snapshots: Path) -> None:
        self._folder, self._snapshot = folder, snapshots / "c0ffee"
        self.revisions: list[str | None] = []

    def download(self, name: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        self.revisions.append(revision)
        for file in self._folder.iterdir():
            if any(fnmatch.fnmatch(file.name, pattern) for pattern in allow_patterns):
                self._snapshot.mkdir(exist_ok=True)
                shutil.copy(file, self._snapshot)
        return str(self._snapshot)


@pytest.fixture
def hub(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    for other in ("consolidated.safetensors", "pytorch_model.bin", "model.fp16.safetensors"):
        (folder / other).write_bytes(b"the same in another format")
    made = Hub(folder, tmp_path)
    monkeypatch.setattr("huggingface_hub.snapshot_download", made.download)
    return made


def test_a_folder_is_relative_to_the_document(folder: Path) -> None:
    assert locate("judge", folder.parent) == Repository(folder)


def test_of_the_hub_only_the_weights_that_are_read_are_fetched(hub: Hub) -> None:
    found = locate("someone/judge", revision="v2")
    assert {path.name for path in found.folder.iterdir()} == {"config.json", "model.safetensors"}
    assert found.commit == "c0ffee"
    assert hub.revisions == ["v2", "c0ffee"]  # the branch may move between the two


def test_weights_in_several_files_are_those_of_the_index(hub: Hub, folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    for shard in shards:
        (folder / shard).write_bytes(b"half of the weights")
    index = {"weight_map": {"a": shards[0], "b": shards[0], "c": shards[1]}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    fetched = {path.name for path in locate("someone/judge").folder.glob("*.safetensors")}
    assert fetched == set(shards)


def test_what_is_no_such_model_is_refused(folder: Path) -> None:
    def refused(problem: str, name: str = "judge", revision: str | None = None) -> None:
        with pytest.raises(InputError, match=rf"scoring\.vqa(\.revision)?: '.*' {problem}"):
            locate(name, folder.parent, revision)

    refused("is neither a folder nor a hub id", "nowhere")
    refused("is a revision, which only a model of the hub has; leave it out, or give a hub id", revision="v1")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    refused(r"holds no safetensors weights .*pickled weights are not read")
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    refused("is a bert, and a Llava is wanted; give a Llava")
    (folder / "config.json").unlink()
    refused("is without a config.json that names its kind, and a Llava is wanted")
