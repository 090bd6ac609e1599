"""What makes a denoiser faster or smaller does so, is part of its identity, or is refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from hierflow.errors import InputError
from hierflow.hashing import text_hash
from hierflow.models.pipeline_adapter import PipelineAdapter
from hierflow.models.placement import Placement
from hierflow.models.registry import open_model
from hierflow.spec import DiffusionSpec
from hierflow.spec.diffusion import AttentionName
from hierflow_tests.stages.runs import carry_out, spec_of
from hierflow_tests.tiny_models import (
    SIZE,
    save_tiny_flux,
    save_tiny_flux2,
    save_tiny_flux2_klein,
    save_tiny_kandinsky,
    save_tiny_qwen_image,
    save_tiny_stable_diffusion,
)


def opened(folder: Path, **settings: Any) -> PipelineAdapter:
    spec = DiffusionSpec.model_validate(
        {"model": str(folder), "steps": 4, "prior_steps": 2, "height": SIZE, "width": SIZE, **settings}
    )
    adapter = open_model(spec, folder)
    assert isinstance(adapter, PipelineAdapter)
    return adapter


def predicted(adapter: PipelineAdapter) -> torch.Tensor:
    rows = adapter.encode(["a cat", "a dog"], [text_hash("a cat"), text_hash("a dog")])
    conditioning = {name: torch.from_numpy(array) for name, array in rows.items()}
    latents = adapter.initial_latents([torch.Generator().manual_seed(seed) for seed in range(2)])
    with torch.inference_mode():
        return adapter.predict(latents, 1, conditioning)


@pytest.fixture(scope="module")
def sd15(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_stable_diffusion(tmp_path_factory.mktemp("sd15"))


@pytest.fixture(scope="module")
def flux(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_flux(tmp_path_factory.mktemp("flux"))


def test_channels_last_is_how_every_convolution_lies(sd15: Path) -> None:
    network = opened(sd15, channels_last=True).network
    kernels = [weight for weight in network.parameters() if weight.ndim == 4 and weight.shape[2] > 1]
    assert kernels
    assert all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)
    torch.testing.assert_close(
        predicted(opened(sd15, channels_last=True)), predicted(opened(sd15)), rtol=1e-3, atol=1e-3
    )


def test_the_denoiser_is_compiled_and_still_counted(sd15: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, compiled = carry_out(spec_of(sd15, height=SIZE, width=SIZE)), []

    def noted(function: Any) -> Any:
        compiled.append(function)
        return partial(function)

    monkeypatch.setattr(torch, "compile", noted)
    run = carry_out(spec_of(sd15, height=SIZE, width=SIZE, compile=True))
    assert [type(function.__self__).__name__ for function in compiled] == ["UNet2DConditionModel"]
    assert run.account.books.executed == plain.account.books.executed == run.compiled.document.planned
    assert run.account.books.problems == ()


def test_the_attention_backend_is_that_of_this_model_alone(flux: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.nn.attention import SDPBackend

    chosen: list[Any] = []
    real = torch.nn.attention.sdpa_kernel

    def noted(backend: Any, *rest: Any) -> Any:
        chosen.append(backend)
        return real(backend, *rest)

    monkeypatch.setattr(torch.nn.attention, "sdpa_kernel", noted)
    usual = predicted(opened(flux))
    assert chosen == []
    close = predicted(opened(flux, attention="_native_math"))
    assert set(chosen) == {SDPBackend.MATH}
    torch.testing.assert_close(close, usual, rtol=1e-3, atol=1e-3)
    chosen.clear()
    assert torch.equal(predicted(opened(flux)), usual)
    assert chosen == []


def test_large_images_are_decoded_in_tiles(sd15: Path) -> None:
    latents = torch.randn(1, 4, 64, 64, generator=torch.Generator().manual_seed(0))
    settings = {"height": 128, "width": 128}
    plain, tiled = opened(sd15, **settings), opened(sd15, vae_tiling=True, **settings)
    assert tiled.loaded.denoiser.vae.use_tiling
    assert not plain.loaded.denoiser.vae.use_tiling
    seen = []
    for adapter in (plain, tiled):
        vae, sizes = adapter.loaded.denoiser.vae, []
        vae.tile_latent_min_size, vae.tile_sample_min_size = 32, 64
        vae.decoder.register_forward_pre_hook(lambda _, args, sizes=sizes: sizes.append(args[0].shape[-1]))
        adapter.decode(latents)
        seen.append(max(sizes))
    assert seen[0] == 64
    assert seen[1] <= 32


def test_whatever_moves_bits_has_an_identity_of_its_own(sd15: Path, flux: Path) -> None:
    def facts(folder: Path, **settings: Any) -> tuple[str, str]:
        adapter = opened(folder, **settings)
        return adapter.identity.denoiser, adapter.decoder_fingerprint

    plain = facts(sd15)
    changed = [facts(sd15, channels_last=True), facts(sd15, compile=True)]
    assert len({plain[0], *(change[0] for change in changed)}) == 3
    assert {change[1] for change in changed} == {plain[1]}
    tiled = facts(sd15, vae_tiling=True)
    assert tiled[0] == plain[0]
    assert tiled[1] != plain[1]
    assert facts(flux, attention="_native_math")[0] != facts(flux)[0]
    assert [facts(sd15, offload=how) for how in ("none", "layers")] == [plain, plain]


def test_what_would_have_no_effect_is_refused(sd15: Path, flux: Path, tmp_path: Path) -> None:
    kandinsky = save_tiny_kandinsky(tmp_path, learned_variance=False)
    for folder, setting, value, problem in (
        (sd15, "attention", "_native_math", "has no effect on Stable Diffusion 1 and 2, whose UNet2DConditionModel"),
        (flux, "channels_last", True, r"has no effect on FLUX\.1, whose FluxTransformer2DModel is no UNet"),
        (kandinsky, "vae_tiling", True, r"has no effect on Kandinsky 2\.2, whose VQModel cannot decode in tiles"),
    ):
        adapter = opened(folder, **{setting: value})
        with pytest.raises(InputError, match=rf"^diffusion\.{setting}: .*{problem}.*; leave it out\.$"):
            _ = adapter.identity
        assert "denoiser" not in vars(adapter.loaded)  # no weight was loaded for that


def test_a_backend_that_is_not_installed_is_refused(flux: Path) -> None:
    with pytest.raises(InputError, match="sageattention") as caught:
        _ = opened(flux, attention="sage").identity
    assert (caught.value.field, caught.value.value) == ("diffusion.attention", "sage")


WITHOUT_MASKS = {"flash", "sage", "_flash_3", "_native_flash"}


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_qwen_image(tmp_path_factory.mktemp("qwen"))


def refusal(adapter: PipelineAdapter) -> InputError | None:
    try:
        _ = adapter.identity
    except InputError as error:
        return error
    return None


@pytest.mark.parametrize("model", ["flux", "qwen"])
def test_those_backends_are_refused_that_fail(model: str, request: pytest.FixtureRequest) -> None:
    from diffusers.models.attention_dispatch import AttentionBackendName

    folder = request.getfixturevalue(model)
    plain, accepted = opened(folder), set()
    usual = predicted(plain)
    for name in get_args(AttentionName):
        adapter = opened(folder, attention=name)
        if (refused := refusal(adapter)) is None:
            torch.testing.assert_close(predicted(adapter), usual, rtol=1e-3, atol=1e-3)
            accepted.add(name)
            continue
        assert (refused.field, refused.value) == ("diffusion.attention", name)
        assert ("mask" in refused.problem) == (model == "qwen" and name in WITHOUT_MASKS)
        assert "denoiser" not in vars(adapter.loaded)  # no weight was loaded for that
        for module in plain.network.modules():
            if hasattr(processor := getattr(module, "processor", None), "_attention_backend"):
                processor._attention_backend = AttentionBackendName(name)
        with pytest.raises(Exception):  # noqa: B017, PT011 - each backend has an error of its own
            predicted(plain)
    assert {"_native_math", "flex"} <= accepted
    assert ("_native_flash" in accepted) == (model == "flux")


@pytest.mark.parametrize("save", [save_tiny_flux, save_tiny_flux2, save_tiny_flux2_klein, save_tiny_qwen_image])
def test_only_qwen_image_masks_its_attention(save: Callable[[Path], Path], tmp_path: Path) -> None:
    adapter = opened(save(tmp_path), attention="_native_flash")
    assert (refusal(adapter) is not None) == (save is save_tiny_qwen_image)


def test_by_layers_nothing_but_a_layer_is_moved_and_no_bit_changes(
    sd15: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = predicted(opened(sd15))
    adapter = opened(sd15, offload="layers")
    placement = Placement("cpu:0")  # stands in for a device that is not where weights wait
    adapter.loaded.placement = placement
    onloaded: list[int] = []
    from diffusers.hooks.group_offloading import ModuleGroup

    real = ModuleGroup.onload_

    def noted(group: Any) -> None:
        onloaded.append(sum(sum(weight.numel() for weight in module.parameters()) for module in group.modules))
        real(group)

    monkeypatch.setattr(ModuleGroup, "onload_", noted)
    network = adapter.network
    moved: list[Any] = []
    monkeypatch.setattr(type(network), "to", lambda self, *args, **_: moved.append(args) or self)
    assert torch.equal(predicted(adapter), usual)
    assert moved == []
    assert max(onloaded) < sum(weight.numel() for weight in network.parameters()) / 4


class Network(torch.nn.Module):
    """Says where it was moved."""

    def __init__(self) -> None:
        super().__init__()
        self.places: list[Any] = []

    def to(self, *args: Any, **kwargs: Any) -> Network:
        self.places.append(args[0])
        return self


def test_without_offload_what_has_worked_stays(sd15: Path) -> None:
    placement = opened(sd15, offload="none").loaded.placement
    assert placement._keeps
    keeping, (one, two) = Placement("cuda:0", keeps=True), (Network(), Network())
    keeping.place(one)
    with keeping.working(two):
        pass
    keeping.place(one)
    assert [one.places, two.places] == [["cuda:0"], ["cuda:0"]]
