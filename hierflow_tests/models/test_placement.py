"""Networks are on the device only while they work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hierflow.hashing import text_hash
from hierflow.models.adapter import at_size
from hierflow.models.placement import Placement
from hierflow.models.registry import open_model
from hierflow.spec import DiffusionSpec
from hierflow_tests.tiny_models import SIZE, save_tiny_stable_diffusion


class Network(torch.nn.Module):
    """Says where it was moved."""

    def __init__(self) -> None:
        super().__init__()
        self.places: list[str] = []

    def to(self, *args: Any, **kwargs: Any) -> Network:
        self.places.append(args[0])
        return self


@pytest.fixture
def networks() -> list[Network]:
    return [Network() for _ in range(3)]


def test_what_is_placed_drives_the_others_off(networks: list[Network]) -> None:
    placement = Placement("cuda:0")
    one, two, three = networks
    placement.place(one, two)
    placement.place(two, three)
    assert [network.places for network in networks] == [["cuda:0", "cpu"], ["cuda:0"], ["cuda:0"]]


def test_what_is_placed_already_stays(networks: list[Network]) -> None:
    placement = Placement("cuda:0")
    for _ in range(3):
        placement.place(networks[0])
    assert networks[0].places == ["cuda:0"]


def test_nothing_is_left_after_the_work_even_if_it_failed(networks: list[Network]) -> None:
    placement = Placement("cuda:0")
    placement.place(networks[0])
    with pytest.raises(ZeroDivisionError), placement.working(networks[1]):
        _ = 1 / 0
    assert [network.places for network in networks[:2]] == [["cuda:0", "cpu"], ["cuda:0", "cpu"]]
    placement.place(networks[1])
    assert networks[1].places[-1] == "cuda:0"


def test_on_a_cpu_nothing_moves(networks: list[Network]) -> None:
    placement = Placement("cpu")
    with placement.working(*networks):
        placement.place(networks[0])
    assert [network.places for network in networks] == [[], [], []]


def test_encoders_denoiser_and_decoder_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_tiny_stable_diffusion(tmp_path)
    adapter: Any = open_model(DiffusionSpec(model=str(folder), steps=3, height=SIZE, width=SIZE), tmp_path)
    turns: list[list[str]] = []

    def noted(*networks: torch.nn.Module) -> None:
        turns.append([type(network).__name__ for network in networks])

    monkeypatch.setattr(adapter.loaded.placement, "place", noted)
    rows = adapter.encode(["a cat"], [text_hash("a cat")])
    latents = adapter.initial_latents([torch.Generator()])
    conditioning = {name: torch.from_numpy(array) for name, array in rows.items()}
    for index in range(2):
        adapter.predict(latents, index, conditioning)
    adapter.decode(latents)
    unet = ["UNet2DConditionModel"]
    assert turns == [["CLIPTextModel"], [], unet, unet, ["AutoencoderKL"], []]


def test_what_is_not_needed_is_not_loaded(tmp_path: Path) -> None:
    folder = save_tiny_stable_diffusion(tmp_path)
    adapter: Any = open_model(DiffusionSpec(model=str(folder), steps=3), tmp_path)
    assert adapter.identity.root(0)
    assert adapter.warnings(["a cat"]) == []
    assert not {"encoder", "denoiser"} & vars(adapter.loaded).keys()
    adapter.encode(["a cat"], [text_hash("a cat")])
    assert adapter.loaded.encoder.unet is None
    assert adapter.network is adapter.loaded.denoiser.unet
    assert adapter.loaded.denoiser.text_encoder is None


def test_decoding_takes_smaller_batches_where_memory_runs_out(tmp_path: Path) -> None:
    folder = save_tiny_stable_diffusion(tmp_path)
    settings = {"model": str(folder), "steps": 3, "height": SIZE, "width": SIZE}
    latents = torch.randn(11, 4, SIZE // 2, SIZE // 2, generator=torch.Generator().manual_seed(0))
    images = []
    for promised in (False, True):
        adapter: Any = open_model(DiffusionSpec.model_validate({**settings, "deterministic": promised}), tmp_path)
        images.append(np.stack(adapter.decode(latents)))
        seen: list[int] = []

        def full(module: Any, args: Any, kwargs: Any, seen: list[int] = seen) -> None:
            seen.append(len(args[0]))
            if len(args[0]) > 2:
                raise torch.OutOfMemoryError("simulated")

        adapter.loaded.denoiser.vae.decoder.register_forward_pre_hook(full, with_kwargs=True)
        if promised:
            with pytest.raises(torch.OutOfMemoryError):
                adapter.decode(latents)
        else:
            again = np.stack(adapter.decode(latents))
            assert seen == [5, 3, 1, *[2] * 5]  # as even as they can be
            assert abs(again.astype(int) - images[0]).max() <= 1
            assert np.array_equal(adapter.decode(latents), again)
            assert seen[8:] == [1, *[2] * 5]


def test_an_image_size_of_its_own_is_set_up_once_and_keeps_the_batches_that_fit(tmp_path: Path) -> None:
    folder = save_tiny_stable_diffusion(tmp_path)
    settings = {"model": str(folder), "steps": 3, "height": SIZE, "width": SIZE, "deterministic": False}
    adapter: Any = open_model(DiffusionSpec.model_validate(settings), tmp_path)
    latents = torch.randn(8, 4, SIZE // 2, SIZE, generator=torch.Generator().manual_seed(0))
    seen: list[int] = []

    def full(module: Any, args: Any, kwargs: Any) -> None:
        seen.append(len(args[0]))
        if len(args[0]) > 2:
            raise torch.OutOfMemoryError("simulated")

    adapter.loaded.denoiser.vae.decoder.register_forward_pre_hook(full, with_kwargs=True)
    wide = at_size(adapter, SIZE * 2, SIZE)
    for _ in range(2):  # a chunk each
        assert at_size(adapter, SIZE * 2, SIZE) is wide
        wide.decode(latents)
    assert seen == [8, 4, *[2] * 8]
    assert at_size(adapter, SIZE, SIZE * 2) is not wide


def test_an_image_whose_pixels_overflow_is_none_and_the_others_are_as_they_are(tmp_path: Path) -> None:
    folder = save_tiny_stable_diffusion(tmp_path)
    adapter = open_model(DiffusionSpec(model=str(folder), steps=3, height=SIZE, width=SIZE), tmp_path)
    latents = torch.randn(3, 4, SIZE // 2, SIZE // 2, generator=torch.Generator().manual_seed(0))
    usual = adapter.decode(latents)
    latents[1] = torch.finfo(torch.float32).max
    first, overflown, last = adapter.decode(latents)
    assert overflown is None
    np.testing.assert_array_equal(first, usual[0])
    np.testing.assert_array_equal(last, usual[2])
