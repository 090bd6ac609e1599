"""Which weight files of a component are loaded, and what is refused before anything is computed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from hierflow.errors import InputError
from hierflow.models.registry import open_model
from hierflow.models.source import locate
from hierflow.models.weights import choose_variant, variant_files
from hierflow.spec import DiffusionSpec
from hierflow_tests.tiny_models import SIZE, save_tiny_stable_diffusion

UNET = [
    "LICENSE",
    "config.json",
    "diffusion_pytorch_model.bf16.bin",
    "diffusion_pytorch_model.bin",
    "diffusion_pytorch_model.fp16.safetensors",
    "diffusion_pytorch_model.non_ema.safetensors",
    "diffusion_pytorch_model.safetensors",
    "flax_model.msgpack",
    "model.onnx",
]
HALF = "diffusion_pytorch_model.fp16.safetensors"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_stable_diffusion(tmp_path_factory.mktemp("sd"))


@pytest.fixture
def model(plain: Path, tmp_path: Path) -> Path:
    """A copy of a complete model, to be changed."""
    return Path(shutil.copytree(plain, tmp_path / "model"))


@pytest.mark.parametrize(
    ("dtype", "variant", "files"),
    [
        ("float32", None, ["diffusion_pytorch_model.safetensors"]),
        ("float16", "fp16", [HALF]),
        ("bfloat16", None, ["diffusion_pytorch_model.safetensors"]),
    ],
)
def test_the_variant_follows_the_precision(dtype: str, variant: str | None, files: list[str]) -> None:
    assert choose_variant(UNET, "diffusers", dtype) == variant
    assert variant_files(UNET, "diffusers", variant) == files


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("only", ["fp16", "bf16"])
def test_where_there_is_half_precision_only_it_is_taken(dtype: str, only: str) -> None:
    assert choose_variant([f"diffusion_pytorch_model.{only}.safetensors"], "diffusers", dtype) == only


def test_every_library_has_file_names_of_its_own() -> None:
    assert variant_files(["model.safetensors"], "diffusers", None) == []
    assert variant_files(UNET, "transformers", None) == []


def test_shards_and_their_index_go_together() -> None:
    half = ["model.fp16-00001-of-00002.safetensors", "model.fp16-00002-of-00002.safetensors"]
    older = ["model-00001-of-00001.fp16.safetensors", "model.safetensors.fp16.index.json"]
    index = ["model.safetensors.index.fp16.json"]
    whole = ["model-00001-of-00001.safetensors", "model.safetensors.index.json"]
    assert variant_files([*half, *index, *whole], "transformers", "fp16") == [*half, *index]
    assert variant_files([*half, *index, *whole], "transformers", None) == whole
    assert variant_files(older, "transformers", "fp16") == older


def rename(folder: Path, component: str, variant: str, **changes: Any) -> None:
    (weights,) = (folder / component).glob("*.safetensors")
    weights.rename(weights.with_suffix(f".{variant}.safetensors"))


def shard(folder: Path, component: str, variant: str | None) -> None:
    """The component's weights in several files, as save_pretrained writes them."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel

    kinds: dict[str, Any] = {"unet": UNet2DConditionModel, "vae": AutoencoderKL, "text_encoder": CLIPTextModel}
    network = kinds[component].from_pretrained(folder / component)
    shutil.rmtree(folder / component)
    network.save_pretrained(folder / component, max_shard_size="20KB", variant=variant)


def litter(folder: Path) -> None:
    """Files that models are published with and that nothing loads."""
    for component in ("unet", "vae", "text_encoder"):
        (folder / component / "LICENSE").write_text("MIT")
        (folder / component / "model.onnx").write_bytes(b"onnx")
        (folder / component / "flax_model.msgpack").write_bytes(b"flax")
        (folder / component / "pytorch_model.fp16.bin").write_bytes(b"pickled")
        (folder / component / "diffusion_pytorch_model.non_ema.safetensors").write_bytes(b"other")
        (folder / component / "onnx.json").write_text("{}")


def weights_of(adapter: Any) -> dict[str, torch.Tensor]:
    encoder, denoiser = adapter.loaded.encoder, adapter.loaded.denoiser
    parts = {"unet": denoiser.unet, "vae": denoiser.vae, "text_encoder": encoder.text_encoder}
    return {f"{name}.{key}": tensor for name, part in parts.items() for key, tensor in part.state_dict().items()}


def opened(folder: Path, **settings: Any) -> Any:
    return open_model(DiffusionSpec(model=str(folder), height=SIZE, width=SIZE, **settings), Path())


LAYOUTS: dict[str, Callable[[Path], Any]] = {
    "fp16 and bf16 only": lambda folder: (rename(folder, "unet", "fp16"), rename(folder, "text_encoder", "bf16")),
    "shards": lambda folder: [shard(folder, name, None) for name in ("unet", "text_encoder")],
    "shards of a variant": lambda folder: [shard(folder, name, "fp16") for name in ("unet", "text_encoder")],
    "foreign files": litter,
    "foreign files and variants": lambda folder: (rename(folder, "unet", "fp16"), litter(folder)),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_of_a_folder_loads_the_same_weights(plain: Path, model: Path, layout: str) -> None:
    LAYOUTS[layout](model)
    expected, loaded = weights_of(opened(plain)), weights_of(opened(model))
    assert loaded.keys() == expected.keys()
    assert all(torch.equal(tensor, expected[key]) for key, tensor in loaded.items())


def test_a_folder_of_two_precisions_loads_the_one_that_is_asked_for(model: Path) -> None:
    (weights,) = (model / "unet").glob("*.safetensors")
    marked = {name: torch.full_like(tensor, 2).half() for name, tensor in load_file(weights).items()}
    save_file(marked, weights.with_name(HALF), {"format": "pt"})
    for dtype, is_marked in (("float32", False), ("float16", True)):
        unet = opened(model, dtype=dtype).loaded.denoiser.unet
        assert bool((unet.conv_in.weight == 2).all()) is is_marked


def test_a_fingerprint_covers_the_files_that_are_loaded_and_no_others(model: Path) -> None:
    def fingerprint(dtype: str = "float32") -> str:
        repository = locate(DiffusionSpec(model=str(model), dtype=dtype), Path()).repository
        return repository.fingerprint("unet", "text_encoder", "vae", "scheduler")

    before = fingerprint()
    litter(model)
    (weights,) = (model / "unet").glob("diffusion_pytorch_model.safetensors")
    shutil.copy(weights, weights.with_name(HALF))
    assert fingerprint() == before
    assert fingerprint("float16") != before
    shard(model, "vae", None)
    assert fingerprint() != before
    (model / "unet" / "config.json").write_text(
        json.dumps({**json.loads((model / "unet" / "config.json").read_text())})
    )
    assert fingerprint() != before


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def pointer(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n")


def lose_shard(model: Path) -> None:
    shard(model, "unet", None)
    next((model / "unet").glob("*-00002-of-*")).unlink()


UNET_WEIGHTS = "unet/diffusion_pytorch_model.safetensors"
BROKEN: dict[str, tuple[Callable[[Path], Any], str]] = {
    "pointer": (lambda model: pointer(model / UNET_WEIGHTS), UNET_WEIGHTS),
    "pointer of a tokenizer": (lambda model: pointer(model / "tokenizer/tokenizer.json"), "tokenizer/tokenizer.json"),
    "truncated": (lambda model: truncate(model / UNET_WEIGHTS), UNET_WEIGHTS),
    "empty": (lambda model: (model / UNET_WEIGHTS).write_bytes(b""), UNET_WEIGHTS),
    "half a header": (lambda model: (model / UNET_WEIGHTS).write_bytes(b"\xff" * 40), UNET_WEIGHTS),
    "non_ema only": (lambda model: rename(model, "unet", "non_ema"), "unet"),
    "pickled only": (
        lambda model: (model / UNET_WEIGHTS).rename(model / "unet" / "diffusion_pytorch_model.bin"),
        "unet",
    ),
    "no weights": (lambda model: (model / UNET_WEIGHTS).unlink(), "unet"),
    "no tokenizer": (lambda model: shutil.rmtree(model / "tokenizer"), ""),
    "no scheduler": (lambda model: shutil.rmtree(model / "scheduler"), ""),
    "no vae": (lambda model: shutil.rmtree(model / "vae"), ""),
    "no vocabulary": (lambda model: (model / "tokenizer/tokenizer.json").unlink(), "tokenizer"),
    "no config": (lambda model: (model / "unet/config.json").unlink(), "unet/config.json"),
    "half a config": (lambda model: (model / "unet/config.json").write_text('{"a'), "unet/config.json"),
    "a shard is missing": (lose_shard, "unet"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_an_incomplete_model_is_refused_when_it_is_looked_for(model: Path, fault: str) -> None:
    spoil, file = BROKEN[fault]
    spoil(model)
    with pytest.raises(InputError) as caught:
        locate(DiffusionSpec(model=str(model)), Path())
    named = Path(str(caught.value.file))
    assert (named.parent if fault == "a shard is missing" else named) == model / file
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("key", "pipeline"),
    [
        ("conditioner.embedders.0.transformer.text_model.final_layer_norm.bias", "StableDiffusionXLPipeline"),
        ("cond_stage_model.transformer.text_model.final_layer_norm.bias", "StableDiffusionPipeline"),
        ("model.diffusion_model.joint_blocks.0.context_block.attn.proj.bias", "StableDiffusion3Pipeline"),
        ("model.diffusion_model.double_blocks.0.img_mod.lin.bias", "FluxPipeline"),
        ("something.else", ""),
    ],
)
@pytest.mark.parametrize("is_in_folder", [False, True])
def test_a_single_file_is_refused_with_what_converts_it(
    tmp_path: Path, key: str, pipeline: str, is_in_folder: bool
) -> None:
    file = tmp_path / "dreams.safetensors"
    save_file({key: torch.zeros(1), "text_encoders.clip_l.x": torch.zeros(1)}, file)
    name = str(tmp_path if is_in_folder else file)
    with pytest.raises(InputError) as caught:
        locate(DiffusionSpec(model=name), Path())
    assert (caught.value.field, caught.value.value) == ("diffusion.model", name)
    call = f"{pipeline}.from_single_file({str(file)!r}).save_pretrained({str(tmp_path / 'dreams')!r})"
    assert (call in str(caught.value.remedy)) is bool(pipeline)


def test_other_single_files_are_refused_for_what_they_are(tmp_path: Path) -> None:
    def error(name: str) -> InputError:
        with pytest.raises(InputError) as caught:
            locate(DiffusionSpec(model=name), tmp_path)
        return caught.value

    save_file({"lora_unet_mid.lora_down.weight": torch.zeros(1)}, tmp_path / "lora.safetensors")
    assert "diffusion.loras" in str(error("lora.safetensors").remedy)
    save_file({"double_blocks.0.img_mod.lin.bias": torch.zeros(1)}, tmp_path / "transformer.safetensors")
    assert "from_single_file" not in str(error("transformer.safetensors").remedy)
    (tmp_path / "old.ckpt").write_bytes(b"pickled")
    assert (error("old.ckpt").field, error("old.ckpt").value) == ("diffusion.model", "old.ckpt")
    save_file({"cond_stage_model.x": torch.zeros(100)}, tmp_path / "half.safetensors")
    truncate(tmp_path / "half.safetensors")
    assert error("half.safetensors").file == tmp_path / "half.safetensors"
