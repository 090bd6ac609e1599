"""What is fetched from the hub: the components a family needs, at the revisions that are asked for."""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import Any

import pytest

from hierflow.errors import InputError
from hierflow.models.source import locate
from hierflow.spec import DiffusionSpec
from hierflow_tests.tiny_models import save_tiny_stable_diffusion


class Hub:
    """A hub of local folders that notes what is asked of it."""

    def __init__(self, folders: dict[str, Path]) -> None:
        self.folders = folders
        self.asked: list[tuple[str, str | None, list[str]]] = []

    def download(self, name: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        self.asked.append((name, revision, allow_patterns))
        return str(self.folders[name])

    def fetches(self, name: str, file: str) -> bool:
        """Whether `file` of the repository `name` has been fetched."""
        return any(
            fnmatch.fnmatch(file, pattern) for asked, _, wanted in self.asked if asked == name for pattern in wanted
        )


@pytest.fixture
def hub(tiny_learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    made = Hub(
        {
            "someone/kandinsky-decoder": tiny_learned / "decoder",
            "someone/kandinsky-prior": tiny_learned / "prior",
            "someone/sd": save_tiny_stable_diffusion(tmp_path / "sd"),
        }
    )
    monkeypatch.setattr("huggingface_hub.snapshot_download", made.download)
    return made


def test_a_model_has_a_revision_and_its_prior_one_of_its_own(hub: Hub) -> None:
    settings: dict[str, Any] = {"model": "someone/kandinsky-decoder", "revision": "v1", "prior_revision": "v2"}
    source = locate(DiffusionSpec(**settings), Path())
    assert {(name, revision) for name, revision, _ in hub.asked} == {
        ("someone/kandinsky-decoder", "v1"),
        ("someone/kandinsky-prior", "v2"),
    }
    assert source.repository.commit == "decoder"  # the folder of a snapshot is called by its commit
    assert source.prior is not None
    assert source.prior.commit == "prior"
    hub.asked.clear()
    locate(DiffusionSpec(model="someone/kandinsky-decoder", revision="v1"), Path())
    assert ("someone/kandinsky-prior", None) in {(name, revision) for name, revision, _ in hub.asked}


def test_what_the_family_has_no_use_for_stays_where_it_is(hub: Hub) -> None:
    source = locate(DiffusionSpec(model="someone/sd"), Path())
    assert source.family.title == "Stable Diffusion 1 and 2"
    assert hub.asked[0][2] == ["model_index.json"]
    for file in ("unet/config.json", "unet/a-00001-of-00002.safetensors", "tokenizer/merges.txt"):
        assert hub.fetches("someone/sd", file), file
    for file in ("v1-5-pruned.safetensors", "unet/weights.bin", "unet/model.ckpt", "image_encoder/model.safetensors"):
        assert not hub.fetches("someone/sd", file), file


@pytest.mark.parametrize("field", ["prior", "prior_revision"])
def test_a_family_without_a_prior_is_given_none(hub: Hub, field: str) -> None:
    spec = DiffusionSpec.model_validate({"model": "someone/sd", field: "v2"})
    with pytest.raises(InputError, match=rf"diffusion\.{field}: 'v2' goes with a model that has a prior, .*leave it"):
        locate(spec, Path())
