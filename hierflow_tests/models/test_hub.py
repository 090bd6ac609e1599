"""What is fetched from the hub: the components a family needs, at the revisions that are asked for."""

from __future__ import annotations

import fnmatch
import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from hierflow.errors import InputError
from hierflow.models.registry import open_model
from hierflow.models.source import locate
from hierflow.spec import DiffusionSpec
from hierflow_tests.tiny_models import SIZE, save_tiny_stable_diffusion


class Hub:
    """A hub of local folders that hands out what matches, in a folder named by the commit, and notes what is asked.

    Attributes:
        folders: what it has.
        asked: the repository and the revision of every download.
        listed: how often it was asked for a list.
        is_reached: whether there is a network.
    """

    def __init__(self, folders: dict[str, Path], snapshots: Path) -> None:
        self.folders, self._snapshots = folders, snapshots
        self.asked: list[tuple[str, str | None]] = []
        self.listed, self.is_reached = 0, True

    def commit(self, name: str) -> str:
        return hashlib.sha256(f"{self._snapshots} {name}".encode()).hexdigest()[:40]

    def download(self, name: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        self.asked.append((name, revision))
        snapshot = self._snapshots / self.commit(name)
        for file in self.files(name) if self.is_reached else ():
            if any(fnmatch.fnmatch(file, pattern) for pattern in allow_patterns):
                (snapshot / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(self.folders[name] / file, snapshot / file)
        return str(snapshot)

    def listing(self, name: str, revision: str) -> list[str]:
        assert revision == self.commit(name)
        self.listed += 1
        if not self.is_reached:
            raise ConnectionError("no network")
        return self.files(name)

    def files(self, name: str) -> list[str]:
        folder = self.folders[name]
        return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]

    def fetched(self, name: str) -> set[str]:
        """The files of a repository that are on this machine."""
        snapshot = self._snapshots / self.commit(name)
        return {path.relative_to(snapshot).as_posix() for path in snapshot.rglob("*") if path.is_file()}


@pytest.fixture
def hub(tiny_learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    made = Hub(
        {
            "someone/kandinsky-decoder": tiny_learned / "decoder",
            "someone/kandinsky-prior": tiny_learned / "prior",
            "someone/sd": save_tiny_stable_diffusion(tmp_path / "sd"),
        },
        tmp_path / "snapshots",
    )
    monkeypatch.setattr("huggingface_hub.snapshot_download", made.download)
    monkeypatch.setattr(
        "huggingface_hub.HfApi.list_repo_files", lambda self, *args, **given: made.listing(*args, **given)
    )
    return made


@pytest.fixture
def halves(hub: Hub) -> Hub:
    """The UNet and the text encoder in half precision too, with weights that tell them from the plain ones."""
    folder = hub.folders["someone/sd"]
    for plain in (*folder.glob("unet/*.safetensors"), *folder.glob("text_encoder/*.safetensors")):
        weights = {name: tensor.half() * 0 + 2 for name, tensor in load_file(plain).items()}
        save_file(weights, plain.with_suffix(".fp16.safetensors"), {"format": "pt"})
    return hub


def test_a_model_has_a_revision_and_its_prior_one_of_its_own(hub: Hub) -> None:
    settings: dict[str, Any] = {"model": "someone/kandinsky-decoder", "revision": "v1", "prior_revision": "v2"}
    source = locate(DiffusionSpec(**settings), Path())
    decoder, prior = (f"someone/kandinsky-{part}" for part in ("decoder", "prior"))
    assert set(hub.asked) == {
        *((decoder, revision) for revision in ("v1", hub.commit(decoder))),
        *((prior, revision) for revision in ("v2", hub.commit(prior))),  # the branch may move between the two
    }
    assert source.repository.commit == hub.commit(decoder)
    assert source.prior is not None
    assert source.prior.commit == hub.commit(prior)
    hub.asked.clear()
    locate(DiffusionSpec(model=decoder, revision="v1"), Path())
    assert (prior, None) in hub.asked


def test_the_prior_of_a_hub_model_may_lie_in_a_folder_and_the_other_way_round(hub: Hub) -> None:
    decoder, prior = (f"someone/kandinsky-{part}" for part in ("decoder", "prior"))
    folders = {name: str(hub.folders[name]) for name in (decoder, prior)}
    beside = locate(DiffusionSpec(model=decoder, prior=folders[prior]), Path())
    assert beside.prior is not None
    assert (beside.repository.commit, beside.prior.folder) == (hub.commit(decoder), Path(folders[prior]))
    assert prior not in {name for name, _ in hub.asked}
    beside = locate(DiffusionSpec(model=folders[decoder], prior=prior, prior_revision="v2"), Path())
    assert beside.prior is not None
    assert (beside.repository.folder, beside.prior.commit) == (Path(folders[decoder]), hub.commit(prior))
    assert (prior, "v2") in hub.asked


def test_what_the_family_has_no_use_for_stays_where_it_is(hub: Hub) -> None:
    useless = ("v1-5-pruned.safetensors", "unet/weights.bin", "unet/model.ckpt", "image_encoder/model.safetensors")
    for file in useless:
        (hub.folders["someone/sd"] / file).parent.mkdir(exist_ok=True)
        (hub.folders["someone/sd"] / file).write_bytes(b"")
    source = locate(DiffusionSpec(model="someone/sd"), Path())
    assert source.family.title == "Stable Diffusion 1 and 2"
    fetched = hub.fetched("someone/sd")
    assert {"unet/config.json", "unet/diffusion_pytorch_model.safetensors", "tokenizer/tokenizer.json"} <= fetched
    assert not fetched & set(useless)


def test_of_two_precisions_the_one_that_is_loaded_is_fetched(halves: Hub) -> None:
    plain = locate(DiffusionSpec(model="someone/sd", dtype="float32"), Path()).repository
    assert not any("fp16" in file for file in halves.fetched("someone/sd"))
    shutil.rmtree(plain.folder)
    half = locate(DiffusionSpec(model="someone/sd", dtype="float16"), Path()).repository
    weights = {file for file in halves.fetched("someone/sd") if file.endswith(".safetensors")}
    assert weights == {
        "text_encoder/model.fp16.safetensors",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
    }
    assert (plain.variant, half.variant) == (None, "fp16")
    assert plain.fingerprint("unet") != half.fingerprint("unet")


def test_what_is_fetched_is_what_is_loaded_whatever_lies_beside_it(halves: Hub) -> None:
    for dtype, is_marked in (("float32", False), ("float16", True)):  # the second finds the files of the first
        adapter = open_model(DiffusionSpec(model="someone/sd", dtype=dtype, height=SIZE, width=SIZE), Path())
        loaded = adapter.loaded.denoiser
        assert bool((loaded.unet.conv_in.weight == 2).all()) is is_marked
        assert not bool((loaded.vae.decoder.conv_in.weight == 2).all())


def test_without_a_network_a_machine_goes_on_with_what_it_began_with(halves: Hub) -> None:
    spec = DiffusionSpec(model="someone/sd", dtype="float16")
    first = locate(spec, Path()).repository
    halves.is_reached = False
    assert locate(spec, Path()).repository == first
    assert halves.listed == 1


def test_a_machine_that_has_never_had_a_network_goes_by_its_disk(halves: Hub) -> None:
    name = "someone/sd"
    halves.download(name, revision=None, allow_patterns=["*.json", "*.txt", "*model.safetensors"])
    halves.is_reached = False
    assert locate(DiffusionSpec(model=name, dtype="float16"), Path()).repository.variant is None


def test_a_hub_that_stops_answering_is_named(halves: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Hub, "listing", lambda self, name, revision: (_ for _ in ()).throw(ConnectionError("gone")))
    with pytest.raises(InputError, match=r"diffusion\.model: 'someone/sd' could not be had from the hub .*gone"):
        locate(DiffusionSpec(model="someone/sd"), Path())


@pytest.mark.parametrize("field", ["prior", "prior_revision"])
def test_a_family_without_a_prior_is_given_none(hub: Hub, field: str) -> None:
    spec = DiffusionSpec.model_validate({"model": "someone/sd", field: "v2"})
    with pytest.raises(InputError, match=rf"diffusion\.{field}: 'v2' goes with a model that has a prior, .*leave it"):
        locate(spec, Path())
