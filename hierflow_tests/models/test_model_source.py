"""Finding a model: everything that can be wrong with one is said before anything is computed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from hierflow.errors import InputError
from hierflow.models.registry import open_model
from hierflow.models.source import ModelSource, locate
from hierflow.spec import DiffusionSpec


def found(model: str | Path, base: Path, **settings: Any) -> ModelSource:
    return locate(DiffusionSpec(model=str(model), **settings), base)


def refused(model: str | Path, base: Path, **settings: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        found(model, base, **settings)
    assert caught.value.field or caught.value.file
    assert caught.value.remedy
    return caught.value


@pytest.fixture
def model(tiny_learned: Path, tmp_path: Path) -> Path:
    """A copy of a complete model, to be spoilt."""
    return Path(shutil.copytree(tiny_learned, tmp_path / "model"))


def write_index(folder: Path, pipeline: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "model_index.json").write_text(json.dumps({"_class_name": pipeline}))


def test_the_mini_model_is_always_there(tmp_path: Path) -> None:
    source = found("mini", tmp_path)
    assert source.is_mini
    assert (source.repository.folder / "model_index.json").is_file()
    assert (source.prior.folder / "model_index.json").is_file()


@pytest.mark.parametrize("field", ["revision", "prior", "prior_revision"])
def test_the_mini_model_takes_neither_revision_nor_prior(field: str, tmp_path: Path) -> None:
    error = refused("mini", tmp_path, **{field: "v9"})
    assert (error.field, error.value) == (f"diffusion.{field}", "v9")
    assert "goes with another model" in str(error)


@pytest.mark.parametrize("settings", [{"revision": "v9"}, {"prior_revision": "v9"}])
@pytest.mark.parametrize("prior", [{}, {"prior": "prior"}])
def test_a_folder_has_no_revision(model: Path, settings: dict[str, str], prior: dict[str, str]) -> None:
    error = refused(model, model, **settings, **prior)
    assert (error.field, error.value) == (f"diffusion.{next(iter(settings))}", "v9")
    assert "only a model of the hub has; leave it out, or give a hub id" in str(error)


def test_a_folder_may_hold_decoder_and_prior(model: Path) -> None:
    for name, base in ((model, Path("/")), ("model", model.parent), ("./model", model.parent)):
        source = found(name, base)
        assert (source.repository.folder, source.prior.folder) == (model / "decoder", model / "prior")
        assert (source.family.title, source.is_mini) == ("Kandinsky 2.2", False)


def test_the_prior_may_lie_elsewhere(model: Path) -> None:
    source = found("model/decoder", model.parent, prior="model/prior")
    assert (source.repository.folder, source.prior.folder) == (model / "decoder", model / "prior")


@pytest.mark.parametrize(
    "name", ["nonsense", "./missing", "/missing/model", "a/b/c", "~/missing/model", "models/x.ckpt", "models\\x"]
)
def test_a_path_that_leads_nowhere_is_refused_with_where_it_was_looked_for(tmp_path: Path, name: str) -> None:
    error = refused(name, tmp_path)
    assert (error.field, error.value) == ("diffusion.model", name)
    assert "neither `mini` nor a folder nor a hub id" in error.problem
    assert str(tmp_path / os.path.expanduser(name)) in error.problem


@pytest.mark.parametrize("name", ["\0", "x" * 5000])
def test_a_name_that_no_file_system_could_hold_is_refused(tmp_path: Path, name: str) -> None:
    assert refused(name, tmp_path).field == "diffusion.model"
    assert refused("mini", tmp_path, safety_check=name).field == "diffusion.safety_check"


@pytest.mark.parametrize("name", ["x.ckpt", "models/x.pt"])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / name).write_bytes(b"")
    error = refused(name, tmp_path)
    assert (error.field, error.value) == ("diffusion.model", name)
    assert error.problem.startswith("is a file")


def test_a_hub_model_that_cannot_be_had_was_looked_for_as_a_folder_first(tmp_path: Path) -> None:
    error = refused("nobody/nothing-decoder", tmp_path)
    assert (error.field, error.value) == ("diffusion.model", "nobody/nothing-decoder")
    assert str(tmp_path / "nobody" / "nothing-decoder") in error.problem
    assert "from the hub" in error.problem


def test_a_tilde_is_the_home_folder(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(model.parent))
    source = found("~/model", tmp_path / "elsewhere", prior="~/model/prior")
    assert (source.repository.folder, source.prior.folder) == (model / "decoder", model / "prior")


def test_a_hub_prior_that_cannot_be_had_is_refused(model: Path) -> None:
    error = refused(model / "decoder", model, prior="nobody/nothing-prior")
    assert (error.field, error.value) == ("diffusion.prior", "nobody/nothing-prior")


def test_a_folder_without_an_index_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    error = refused("empty", tmp_path)
    assert error.field == "diffusion.model"
    assert "holds no model_index.json" in str(error)


def test_a_family_without_an_adapter_is_refused_and_the_others_are_named(tmp_path: Path) -> None:
    write_index(tmp_path / "audio", "AudioLDMPipeline")
    error = refused("audio", tmp_path)
    assert error.field == "diffusion.model"
    assert "is a AudioLDMPipeline" in str(error)
    assert "KandinskyV22Pipeline" in str(error.remedy)


def test_an_index_that_is_not_json_is_refused(model: Path) -> None:
    (model / "decoder" / "model_index.json").write_text("{")
    assert "model_index.json: cannot be read" in str(refused(model, model))


def test_a_folder_without_a_prior_is_refused(model: Path) -> None:
    shutil.rmtree(model / "prior")
    error = refused(model, model)
    assert error.field == "diffusion.model"
    assert "holds no prior" in str(error)
    assert "diffusion.prior" in str(error.remedy)
    assert refused(model, model, prior="missing").field == "diffusion.prior"


@pytest.mark.parametrize("network", ["decoder/unet", "decoder/movq", "prior/prior", "prior/text_encoder"])
def test_pickled_weights_are_refused(model: Path, network: str) -> None:
    (weights,) = (model / network).glob("*.safetensors")
    weights.rename(weights.with_suffix(".bin"))
    assert refused(model, model).file == model / network


def test_a_missing_configuration_is_refused(model: Path) -> None:
    (model / "decoder" / "scheduler" / "scheduler_config.json").unlink()
    with pytest.raises(InputError, match=r"scheduler_config.json: cannot be read .*complete model"):
        _ = open_model(DiffusionSpec(model=str(model)), model).sampler


def test_a_prior_of_one_step_is_refused(model: Path) -> None:
    with pytest.raises(InputError, match=r"diffusion.prior_steps: 1 .*; take at least 2"):
        open_model(DiffusionSpec(model=str(model), prior_steps=1), model)


def test_one_process_keeps_the_last_model(model: Path) -> None:
    spec = DiffusionSpec(model=str(model), steps=4)
    adapter = open_model(spec, model)
    assert open_model(spec.model_copy(), model) is adapter
    assert open_model(DiffusionSpec(model=str(model), steps=5), model) is not adapter
    assert open_model(spec, model) is not adapter


def test_the_encoders_fingerprint_follows_what_changes_embeddings_and_nothing_else(model: Path) -> None:
    def fingerprint(**settings: Any) -> str:
        spec = DiffusionSpec(model=str(model), **settings)
        return open_model(spec, model).encoder_fingerprint

    usual = fingerprint()
    assert usual == fingerprint(steps=3, guidance_scale=1.0, seed=5, scheduler="ddim")
    changes = [{"prior_steps": 3}, {"prior_seed": 1}, {"prior_guidance_scale": 2.0}, {"dtype": "float16"}]
    assert len({usual, *(fingerprint(**change) for change in changes)}) == 5
    (model / "prior" / "tokenizer" / "added.json").write_text("{}")
    assert fingerprint() != usual
