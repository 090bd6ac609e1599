"""LoRAs are added to the weights, and to the identity of what they change."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from hierflow.document import validated
from hierflow.errors import InputError, RunError
from hierflow.models import lora as lora_module
from hierflow.models.pipeline_adapter import PipelineAdapter
from hierflow.models.registry import open_model
from hierflow.spec import DiffusionSpec
from hierflow_tests.stages.runs import assert_equal, carry_out, spec_of
from hierflow_tests.tiny_models import (
    SIZE,
    save_tiny_flux,
    save_tiny_kandinsky,
    save_tiny_stable_diffusion,
    save_tiny_stable_diffusion_3,
    save_tiny_stable_diffusion_xl,
)
from hierflow_tests.tiny_models.lora import save_tiny_lora

Save = Callable[[Path], Path]
SAVES: dict[str, tuple[Save, str]] = {
    "sd15": (save_tiny_stable_diffusion, "unet"),
    "sdxl": (save_tiny_stable_diffusion_xl, "unet"),
    "sd3": (save_tiny_stable_diffusion_3, "transformer"),
    "flux": (save_tiny_flux, "transformer"),
}


def opened(folder: Path, *loras: Any, **settings: Any) -> PipelineAdapter:
    given = [{"model": name} if isinstance(name, str) else name for name in loras]
    spec = DiffusionSpec(model=folder.name, steps=4, height=SIZE, width=SIZE, loras=given, **settings)
    adapter = open_model(spec, folder.parent)
    assert isinstance(adapter, PipelineAdapter)
    return adapter


def weights_of(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: weight.clone() for name, weight in network.state_dict().items()}


@pytest.fixture(scope="module")
def sd15(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Stable Diffusion, with LoRAs of its UNet (a, b) and of its text encoder (t) beside it."""
    folder = save_tiny_stable_diffusion(tmp_path_factory.mktemp("loras") / "sd15")
    plain = opened(folder)
    for seed, name in enumerate("ab"):
        save_tiny_lora(folder.parent / f"{name}.safetensors", {"unet": plain.network}, seed=seed)
    text = {"text_encoder": plain.loaded.encoder.text_encoder}
    save_tiny_lora(folder.parent / "t.safetensors", text, seed=2)
    return folder


@pytest.mark.parametrize("name", SAVES)
def test_what_it_holds_is_added_to_denoiser_and_text_encoder_by_weight(name: str, tmp_path: Path) -> None:
    save, component = SAVES[name]
    folder = save(tmp_path / name)
    plain = opened(folder)
    network, text = plain.network, plain.loaded.encoder.text_encoder
    before = {component: weights_of(network), "text_encoder": weights_of(text)}
    added = save_tiny_lora(tmp_path / "a.safetensors", {component: network, "text_encoder": text})
    changed = opened(folder, {"model": "a.safetensors", "weight": 0.5})
    after = {component: weights_of(changed.network), "text_encoder": weights_of(changed.loaded.encoder.text_encoder)}
    for part, weights in before.items():
        assert after[part].keys() == weights.keys()
        assert added[part]
        for key, weight in weights.items():
            torch.testing.assert_close(after[part][key], weight + 0.5 * added[part].get(key, torch.tensor(0.0)))


def test_several_add_up(sd15: Path) -> None:
    plain = weights_of(opened(sd15).network)
    alone = [weights_of(opened(sd15, f"{name}.safetensors").network) for name in "ab"]
    both = weights_of(opened(sd15, "a.safetensors", {"model": "b.safetensors", "weight": -2}).network)
    changed = [key for key in plain if not torch.equal(alone[0][key], plain[key])]
    assert changed
    for key, weight in plain.items():
        expected = weight + (alone[0][key] - weight) - 2 * (alone[1][key] - weight)
        torch.testing.assert_close(both[key], expected, rtol=1e-4, atol=1e-5)


def test_each_changes_the_identity_of_what_it_reaches(sd15: Path) -> None:
    def facts(*loras: Any) -> tuple[str, str, str]:
        adapter = opened(sd15, *loras)
        return adapter.identity.denoiser, adapter.encoder_fingerprint, adapter.decoder_fingerprint

    plain, a, t = facts(), facts("a.safetensors"), facts("t.safetensors")
    others = [
        facts("b.safetensors"),
        facts({"model": "a.safetensors", "weight": 0.5}),
        facts("a.safetensors", "b.safetensors"),
    ]
    assert len({plain[0], a[0], t[0], *(other[0] for other in others)}) == 6
    assert {a[1], *(other[1] for other in others)} == {plain[1]}
    assert t[1] != plain[1]
    assert {a[2], t[2]} == {plain[2]}
    assert facts("a.safetensors") == a


def test_a_file_is_what_it_holds_and_not_what_it_is_called(sd15: Path, tmp_path: Path) -> None:
    copy = tmp_path / "folder" / "renamed.safetensors"
    copy.parent.mkdir()
    copy.write_bytes((sd15.parent / "a.safetensors").read_bytes())
    denoisers = [opened(sd15, str(path)).identity.denoiser for path in (copy, copy.parent, "a.safetensors")]
    assert len(set(denoisers)) == 1


def test_images_follow_it_and_no_bit_depends_on_their_order(sd15: Path) -> None:
    prompts, loras = ["a red mug", "a blue mug", "xyz 99"], [{"model": str(sd15.parent / "a.safetensors")}]
    settings = {"steps": 3, "height": SIZE, "width": SIZE}
    with_lora = [
        carry_out(spec_of(sd15, prompts=given, loras=loras, **settings)).pixels()
        for given in (prompts, prompts[::-1])
    ]
    assert_equal(*with_lora)
    plain = carry_out(spec_of(sd15, prompts=prompts, **settings)).pixels()
    assert all((plain[key] != image).any() for key, image in with_lora[0].items())


@pytest.mark.parametrize("name", SAVES)
def test_one_that_was_made_for_another_model_is_refused_before_anything_is_loaded(name: str, tmp_path: Path) -> None:
    save, component = SAVES[name]
    folder = save(tmp_path / name)
    plain = opened(folder)
    text = plain.loaded.encoder.text_encoder
    save_tiny_lora(tmp_path / "denoiser.safetensors", {component: plain.network})
    save_tiny_lora(tmp_path / "text.safetensors", {"text_encoder": text})
    spoilt: dict[str, Callable[[str, torch.Tensor], tuple[str, torch.Tensor]]] = {
        "larger": lambda key, tensor: (key, torch.cat([tensor, tensor])),
        "other-layers": lambda key, tensor: (key.replace("to_q", "to_r").replace("q_proj", "r_proj"), tensor),
        "elsewhere": lambda key, tensor: (key.replace(f"{component}.", "other."), tensor),
    }
    for part in ("denoiser", "text"):
        fitting = load_file(tmp_path / f"{part}.safetensors")
        adapter = opened(folder, f"{part}.safetensors")
        assert adapter.identity.root(0)
        assert not {"encoder", "denoiser"} & vars(adapter.loaded).keys()
        for kind, spoil in spoilt.items():
            if (part, kind) == ("text", "elsewhere"):  # it is the same as it was
                continue
            save_file(dict(spoil(*item) for item in fitting.items()), tmp_path / f"{kind}.safetensors")
            adapter = opened(folder, f"{kind}.safetensors")
            with pytest.raises(InputError, match=r"diffusion\.loras: .* does not fit the model \(.*take a LoRA that"):
                _ = adapter.identity
            assert not {"encoder", "denoiser"} & vars(adapter.loaded).keys()


Tensors = dict[str, torch.Tensor]


def layer(name: str, rows: int = 8, columns: int = 8) -> Tensors:
    """A layer in PEFT's spelling."""
    return {f"{name}.lora_A.weight": torch.ones(2, columns), f"{name}.lora_B.weight": torch.ones(rows, 2)}


def in_kohyas_spelling(tensors: Tensors, prefix: str) -> Tensors:
    """The layers of one component as kohya's scripts name them."""
    found = {}
    for key, tensor in tensors.items():
        name, side, _ = key.split(".", 1)[1].rsplit(".", 2)
        down = side == "lora_A"
        found[f"{prefix}{name.replace('.', '_')}.lora_{'down' if down else 'up'}.weight"] = tensor
        if down:
            found[f"{prefix}{name.replace('.', '_')}.alpha"] = torch.tensor(2.0)
    return found


@pytest.fixture(scope="module")
def whole(sd15: Path) -> Tensors:
    """The tensors of a LoRA of eight layers of the UNet and one of the text encoder."""
    return {**load_file(sd15.parent / "a.safetensors"), **load_file(sd15.parent / "t.safetensors")}


@pytest.mark.parametrize("spelling", ["peft", "kohya"])
def test_layers_that_the_model_lacks_are_counted_and_named(
    spelling: str, sd15: Path, whole: Tensors, tmp_path: Path
) -> None:
    fitting = {key: tensor for key, tensor in whole.items() if key.startswith("unet")}
    foreign = {**layer("unet.mid_block.attentions.9.to_q"), **layer("unet.mid_block.attentions.9.to_k")}
    others = ["unet.mid_block.attentions.9.to_k", "unet.mid_block.attentions.9.to_q"]
    if spelling == "kohya":
        fitting, foreign = (in_kohyas_spelling(part, "lora_unet_") for part in (fitting, foreign))
        others = ["lora_unet_mid_block_attentions_9_to_k", "lora_unet_mid_block_attentions_9_to_q"]
    save_file({**fitting, **foreign}, tmp_path / "part.safetensors")
    save_file(fitting, tmp_path / "fitting.safetensors")
    part, usual = (opened(sd15, str(tmp_path / f"{name}.safetensors")) for name in ("part", "fitting"))
    (sentence,) = part.warnings(["a mug"])
    assert "8 of its 10 layers" in sentence
    assert all(name in sentence for name in others)
    assert usual.warnings(["a mug"]) == []
    assert_equal(weights_of(part.network), weights_of(usual.network))


@pytest.mark.parametrize(("foreign", "is_refused"), [(8, False), (9, True)])
def test_one_of_which_the_model_has_less_than_half_is_refused(
    foreign: int, is_refused: bool, sd15: Path, tmp_path: Path
) -> None:
    tensors = load_file(sd15.parent / "a.safetensors")
    for number in range(foreign):
        tensors |= layer(f"unet.down_blocks.9.{number}.to_q")
    save_file(tensors, tmp_path / "x.safetensors")
    adapter = opened(sd15, str(tmp_path / "x.safetensors"))
    if not is_refused:
        assert "8 of its 16 layers" in adapter.warnings(["a mug"])[0]
        return
    with pytest.raises(InputError) as caught:
        _ = adapter.identity
    assert (caught.value.field, caught.value.file) == ("diffusion.loras", tmp_path / "x.safetensors")
    assert "8 of its 17 layers" in caught.value.problem
    assert "and 6 more" in caught.value.problem
    assert not {"encoder", "denoiser"} & vars(adapter.loaded).keys()


def test_layers_of_an_encoder_that_the_model_lacks_are_named(sd15: Path, whole: Tensors, tmp_path: Path) -> None:
    other = "text_encoder_2.text_model.encoder.layers.0.self_attn.q_proj"
    save_file({**whole, **layer(other)}, tmp_path / "xl.safetensors")
    adapter = opened(sd15, str(tmp_path / "xl.safetensors"))
    (sentence,) = adapter.warnings(["a mug"])
    assert "9 of its 10 layers" in sentence
    assert other in sentence
    plain = opened(sd15)
    for changed, usual in (
        (adapter.network, plain.network),
        (adapter.loaded.encoder.text_encoder, plain.loaded.encoder.text_encoder),
    ):
        before = weights_of(usual)
        assert any(not torch.equal(weight, before[name]) for name, weight in weights_of(changed).items())


@pytest.mark.parametrize(("value", "sentences"), [(1.0, 1), (0.0, 0)])
def test_layers_that_diffusers_drops_are_named_unless_they_are_zero(
    value: float, sentences: int, tmp_path: Path
) -> None:
    folder = save_tiny_flux(tmp_path / "flux")
    width = opened(folder).network.config["num_attention_heads"] * 16
    dropped = "text_encoders.t5xxl.transformer.encoder"
    kohya = {"lora_unet_double_blocks_0_img_attn_qkv": (width, 3 * width), dropped: (8, 8)}
    tensors = {}
    for name, (columns, rows) in kohya.items():
        filled = value if name == dropped else 1.0
        tensors[f"{name}.lora_down.weight"] = torch.full((2, columns), filled)
        tensors[f"{name}.lora_up.weight"] = torch.full((rows, 2), filled)
    save_file(tensors, tmp_path / "comfy.safetensors")
    adapter = opened(folder, "comfy.safetensors")
    found = adapter.warnings(["a mug"])
    assert len(found) == sentences
    assert all("1 of its 2 layers" in sentence and dropped in sentence for sentence in found)
    before = weights_of(opened(folder).network)
    changed = [name for name, weight in weights_of(adapter.network).items() if not torch.equal(weight, before[name])]
    assert len(changed) == 3  # one layer of the file is three of the model


FIRST = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
BROKEN: dict[str, tuple[Callable[[Tensors], Tensors], str, str]] = {
    "lone-lora-a": (
        lambda whole: {key: tensor for key, tensor in whole.items() if "lora_A" in key},
        "9 of its 9 layers lack one",
        "download",
    ),
    "half-a-pair": (
        lambda whole: {key: tensor for key, tensor in whole.items() if key != f"{FIRST}.lora_B.weight"},
        f"1 of its 9 layers lack one of their two matrices ({FIRST})",
        "download",
    ),
    "nan": (
        lambda whole: {**whole, f"{FIRST}.lora_A.weight": whole[f"{FIRST}.lora_A.weight"] * torch.nan},
        f"not finite, in 1 of its 18 tensors ({FIRST}.lora_A.weight)",
        "another",
    ),
    "infinite": (
        lambda whole: {key: tensor * torch.inf for key, tensor in whole.items()},
        "not finite, in 18 of its 18 tensors",
        "another",
    ),
    "zero": (
        lambda whole: {key: tensor * ("lora_A" in key) for key, tensor in whole.items()},
        "every layer of it is zero",
        "leave it out",
    ),
    "checkpoint": (lambda _: {"model.out.weight": torch.ones(2, 2)}, "'model.out.weight'", "the file of a LoRA"),
    "nothing": (lambda _: {}, "holds no LoRA weights", "the file of a LoRA"),
    "loha": (
        lambda _: {f"lora_unet_x.hada_w1_{half}": torch.ones(2, 2) for half in "ab"},
        "does not fit the model",
        "no LoHa",
    ),
    "kohya-text-without-out": (
        lambda whole: in_kohyas_spelling({k: v for k, v in whole.items() if k.startswith("text")}, "lora_te_"),
        "`out_proj`",
        "without its text encoder layers",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_refused_with_its_remedy(kind: str, sd15: Path, whole: Tensors, tmp_path: Path) -> None:
    spoil, problem, remedy = BROKEN[kind]
    save_file({key: tensor.contiguous() for key, tensor in spoil(whole).items()}, tmp_path / "x.safetensors")
    adapter = opened(sd15, str(tmp_path / "x.safetensors"))
    with pytest.raises(InputError) as caught:
        _ = adapter.identity
    assert problem in caught.value.problem
    assert remedy in str(caught.value.remedy)
    assert caught.value.file == tmp_path / "x.safetensors"


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n", None])
def test_an_incomplete_download_is_refused(content: bytes | None, sd15: Path, tmp_path: Path) -> None:
    half = (sd15.parent / "a.safetensors").read_bytes()[:-100]
    (tmp_path / "x.safetensors").write_bytes(half if content is None else content)
    with pytest.raises(InputError, match="download it again") as caught:
        _ = opened(sd15, str(tmp_path / "x.safetensors")).identity
    assert caught.value.file == tmp_path / "x.safetensors"


def test_settings_in_the_file_that_peft_does_not_know_are_refused_before_anything_is_loaded(
    sd15: Path, tmp_path: Path
) -> None:
    settings = {"lora_adapter_metadata": json.dumps({"unet.r": 2, "unet.nonsense": 4})}
    save_file(load_file(sd15.parent / "a.safetensors"), tmp_path / "x.safetensors", metadata=settings)
    adapter = opened(sd15, str(tmp_path / "x.safetensors"))
    with pytest.raises(InputError) as caught:
        _ = adapter.identity
    assert "LoraConfig" in caught.value.problem
    assert "denoiser" not in vars(adapter.loaded)


def test_magnitudes_that_diffusers_leaves_out_are_told(sd15: Path, whole: Tensors, tmp_path: Path) -> None:
    unet = in_kohyas_spelling({key: tensor for key, tensor in whole.items() if key.startswith("unet")}, "lora_unet_")
    scales = {key.replace("alpha", "dora_scale"): torch.ones(1, 8) for key in unet if key.endswith("alpha")}
    save_file({**unet, **scales}, tmp_path / "dora.safetensors")
    (sentence,) = opened(sd15, str(tmp_path / "dora.safetensors")).warnings(["a mug"])
    assert "dora_scale" in sentence


def test_the_loaded_network_is_checked_too(sd15: Path, whole: Tensors, tmp_path: Path) -> None:
    save_file(whole, tmp_path / "x.safetensors")
    adapter = opened(sd15, str(tmp_path / "x.safetensors"))
    assert adapter.identity.root(0)
    save_file({key: tensor for key, tensor in whole.items() if FIRST not in key}, tmp_path / "x.safetensors")
    with pytest.raises(RunError, match=r"\[7\] layers .* not to \[8\]"):
        _ = adapter.network


def test_families_that_take_none_refuse_by_name(tmp_path: Path) -> None:
    folder = save_tiny_kandinsky(tmp_path, learned_variance=False)
    with pytest.raises(InputError, match=r"diffusion\.loras: go with other models, as Kandinsky 2\.2 takes no LoRAs"):
        opened(folder, "a.safetensors")


def test_without_peft_it_says_how_to_install_it(sd15: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lora_module, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"the package peft, .* pip install 'hierflow\[lora\]'"):
        opened(sd15, "a.safetensors")


def test_what_is_not_there_or_not_safetensors_is_refused(sd15: Path, tmp_path: Path) -> None:
    (tmp_path / "pickled.bin").write_bytes(b"x")
    (tmp_path / "torn.safetensors").write_bytes(b"x")
    for lora, problem in {
        str(tmp_path / "pickled.bin"): r"loras\.0\.model: .* neither a safetensors file",
        str(sd15.parent): r"loras\.0\.model: .* holds 3 safetensors files and not one; name one of a\.safetensors, b",
        str(sd15): r"loras\.0\.model: .* holds 0 safetensors files",
        "nowhere": r"loras\.0\.model: 'nowhere' is neither",
        str(tmp_path / "torn.safetensors"): r"torn\.safetensors: diffusion\.loras: .* cannot be read",
    }.items():
        with pytest.raises(InputError, match=problem):
            _ = opened(sd15, lora).encoder_fingerprint
    with pytest.raises(InputError, match=r"loras\.0\.file: 'c\.safetensors' is no file of"):
        opened(sd15, {"model": str(sd15.parent), "file": "c.safetensors"})
    for name, field in [("a.safetensors", "file"), ("a.safetensors", "revision"), (".", "revision")]:
        given = {"model": str(sd15.parent / name), field: "b.safetensors"}
        with pytest.raises(InputError, match=rf"loras\.0\.{field}: 'b\.safetensors' .*; leave it out"):
            opened(sd15, given)
    assert (
        opened(sd15, {"model": str(sd15.parent), "file": "a.safetensors"}).source.loras[0].file.name
        == "a.safetensors"
    )


def test_one_from_the_hub_is_its_commit_file_and_weight(
    sd15: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def download(name: str, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((name, revision, allow_patterns))
        folder = tmp_path / (revision or "main-commit")
        folder.mkdir(exist_ok=True)
        for file in allow_patterns:
            (folder / file).write_bytes((sd15.parent / "a.safetensors").read_bytes())
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    given = {"model": "studio/ink", "revision": "v2", "file": "ink.safetensors"}
    others = [{**given, "revision": "v3"}, {**given, "file": "wash.safetensors"}]
    denoisers = {opened(sd15, lora).identity.denoiser for lora in ("studio/ink", given, *others)}
    assert len(denoisers) == 4
    assert ("studio/ink", "v2", ["ink.safetensors"]) in asked
    assert ("studio/ink", None, ["pytorch_lora_weights.safetensors"]) in asked


@pytest.mark.parametrize(
    ("lora", "problem"),
    [
        ({}, r"loras\.0\.model: is missing"),
        ({"model": "a", "weight": "much"}, r"loras\.0\.weight: 'much' is not a number; how much of it is added"),
        ({"model": "a", "weight": float("nan")}, r"loras\.0\.weight: nan is not a finite number"),
        ({"model": "a", "wait": 1}, r"loras\.0\.wait: is not a field; did you mean weight"),
        ({"model": "a", "file": "a.bin"}, r"loras\.0\.file: 'a\.bin' is not the name of a safetensors file"),
    ],
)
def test_faults_name_the_place_in_the_list(lora: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        validated(DiffusionSpec, {"loras": [lora]})
