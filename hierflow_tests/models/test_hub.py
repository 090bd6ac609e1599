"""What is fetched from the hub: the components a family needs, at the revisions that are asked for."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from hierflow.errors import InputError
from hierflow.models.registry import open_model
from hierflow.models.source import locate
from hierflow.spec import DiffusionSpec
from hierflow_tests.tiny_models import SIZE, save_tiny_stable_diffusion


class Hub:
    """A hub of local folders behind a real HTTP server, as huggingface_hub asks one; it notes what is asked.

    Attributes:
        folders: what it has.
        asked: the repository and the revision of every look-up.
        listed: how often it was asked for a list of files.
        url: where it listens.
        cache: where the client keeps what it downloads.
    """

    def __init__(self, folders: dict[str, Path], cache: Path) -> None:
        self.folders, self.cache = folders, cache
        self.asked: list[tuple[str, str]] = []
        self.listed = 0
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub.answer(self)

            do_HEAD = do_GET  # noqa: N815

            def log_message(self, *_: Any) -> None:
                """Nothing is printed."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = urllib.parse.unquote(request.path.partition("?")[0]).removeprefix("/api/models")
        name, (kind, revision, *file) = "/".join(path.split("/")[1:3]), path.split("/")[3:]
        if name not in self.folders:
            request.send_error(404)
            return
        commit, body = self.commit(name), b""
        headers = {"X-Repo-Commit": commit}
        if kind == "revision":
            self.asked.append((name, revision))
            body = json.dumps({"id": name, "sha": commit, "siblings": []}).encode()
        elif kind == "tree":
            assert revision == commit
            self.listed += 1
            sizes = {file: (self.folders[name] / file).stat().st_size for file in self.files(name)}
            listed = [{"type": "file", "path": file, "size": size, "oid": file} for file, size in sizes.items()]
            body = json.dumps(listed).encode()
        else:
            body = (self.folders[name] / "/".join(file)).read_bytes()
            headers["ETag"] = f'"{hashlib.sha256(body).hexdigest()}"'
        request.send_response(200)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            request.send_header(key, value)
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(body)

    def commit(self, name: str) -> str:
        return hashlib.sha256(name.encode()).hexdigest()[:40]

    def files(self, name: str) -> list[str]:
        folder = self.folders[name]
        return [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]

    def fetched(self, name: str) -> set[str]:
        """The files of a repository that are on this machine."""
        snapshot = self.cache / f"models--{name.replace('/', '--')}" / "snapshots" / self.commit(name)
        return {path.relative_to(snapshot).as_posix() for path in snapshot.rglob("*") if path.is_file()}


@pytest.fixture
def hub(tiny_learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    made = Hub(
        {
            "someone/kandinsky-decoder": tiny_learned / "decoder",
            "someone/kandinsky-prior": tiny_learned / "prior",
            "someone/sd": save_tiny_stable_diffusion(tmp_path / "sd"),
        },
        tmp_path / "cache",
    )
    for name, value in {
        "ENDPOINT": made.url,
        "HUGGINGFACE_CO_URL_TEMPLATE": made.url + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(made.cache),
        "HF_HUB_OFFLINE": False,
    }.items():
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def halves(hub: Hub) -> Hub:
    """The UNet and the text encoder in half precision too, with weights that tell them from the plain ones."""
    folder = hub.folders["someone/sd"]
    for plain in (*folder.glob("unet/*.safetensors"), *folder.glob("text_encoder/*.safetensors")):
        weights = {name: tensor.half() * 0 + 2 for name, tensor in load_file(plain).items()}
        save_file(weights, plain.with_suffix(".fp16.safetensors"), {"format": "pt"})
    return hub


def go_offline(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    hub.folders.clear()


def test_a_model_has_a_revision_and_its_prior_one_of_its_own(hub: Hub) -> None:
    settings: dict[str, Any] = {"model": "someone/kandinsky-decoder", "revision": "v1", "prior_revision": "v2"}
    source = locate(DiffusionSpec(**settings), Path())
    decoder, prior = (f"someone/kandinsky-{part}" for part in ("decoder", "prior"))
    assert hub.asked == [(decoder, "v1"), (prior, "v2")]  # once each: the branch may move between two look-ups
    assert source.repository.commit == hub.commit(decoder)
    assert source.prior is not None
    assert source.prior.commit == hub.commit(prior)
    hub.asked.clear()
    locate(DiffusionSpec(model=decoder, revision="v1"), Path())
    assert (prior, "main") in hub.asked


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
    plain_fingerprint = plain.fingerprint("unet")
    assert not any("fp16" in file for file in halves.fetched("someone/sd"))
    shutil.rmtree(plain.folder)
    half = locate(DiffusionSpec(model="someone/sd", dtype="float16"), Path()).repository
    weights = {file for file in halves.fetched("someone/sd") if file.endswith(".safetensors")}
    assert weights == {
        "text_encoder/model.fp16.safetensors",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
    }
    assert (half.variant("unet"), half.variant("vae")) == ("fp16", None)
    assert plain_fingerprint != half.fingerprint("unet")


def test_what_is_fetched_is_what_is_loaded_whatever_lies_beside_it(halves: Hub) -> None:
    for dtype, is_marked in (("float32", False), ("float16", True)):  # the second finds the files of the first
        adapter = open_model(DiffusionSpec(model="someone/sd", dtype=dtype, height=SIZE, width=SIZE), Path())
        loaded = adapter.loaded.denoiser
        assert bool((loaded.unet.conv_in.weight == 2).all()) is is_marked
        assert not bool((loaded.vae.decoder.conv_in.weight == 2).all())


def test_without_a_network_a_machine_goes_on_with_what_it_began_with(
    halves: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = DiffusionSpec(model="someone/sd", dtype="float16")
    first = locate(spec, Path()).repository
    go_offline(halves, monkeypatch)
    assert locate(spec, Path()).repository == first
    assert halves.listed == 1


def test_a_cache_without_a_list_goes_by_its_files(halves: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "someone/sd"
    locate(DiffusionSpec(model=name, dtype="float32"), Path())
    shutil.rmtree(halves.cache / "models--someone--sd" / "trees")
    elsewhere = halves.cache.rename(halves.cache.with_name("elsewhere"))  # the client remembers lists by their paths
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(elsewhere))
    go_offline(halves, monkeypatch)
    assert locate(DiffusionSpec(model=name, dtype="float16"), Path()).repository.variant("unet") is None


def test_a_hub_that_stops_answering_is_named(halves: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    go_offline(halves, monkeypatch)
    with pytest.raises(InputError) as caught:
        locate(DiffusionSpec(model="someone/sd"), Path())
    assert (caught.value.field, caught.value.value) == ("diffusion.model", "someone/sd")


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_a_component_that_has_half_precision_only_goes_with_plain_ones(hub: Hub, dtype: str) -> None:
    folder = hub.folders["someone/sd"]
    plain = folder / "vae" / "diffusion_pytorch_model.safetensors"
    plain.rename(plain.with_suffix(".fp16.safetensors"))
    adapter = open_model(DiffusionSpec(model="someone/sd", dtype=dtype, height=SIZE, width=SIZE), Path())
    repository = adapter.source.repository
    assert [repository.variant(name) for name in ("unet", "vae")] == [None, "fp16"]
    weights = load_file(plain.with_suffix(".fp16.safetensors"))
    loaded = adapter.loaded.denoiser.vae.state_dict()
    assert all(torch.equal(loaded[name], tensor.to(loaded[name].dtype)) for name, tensor in weights.items())


@pytest.mark.parametrize("field", ["prior", "prior_revision"])
def test_a_family_without_a_prior_is_given_none(hub: Hub, field: str) -> None:
    spec = DiffusionSpec.model_validate({"model": "someone/sd", field: "v2"})
    with pytest.raises(InputError, match=rf"diffusion\.{field}: 'v2' goes with a model that has a prior, .*leave it"):
        locate(spec, Path())
