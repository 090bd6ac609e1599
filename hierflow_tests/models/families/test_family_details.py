"""What one family says of itself and the others do not."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hierflow.errors import InputError
from hierflow.models.families import FAMILIES
from hierflow.models.pipeline_adapter import PipelineAdapter
from hierflow.models.registry import open_model
from hierflow.spec import DiffusionSpec
from hierflow_tests.tiny_models import (
    save_tiny_flux,
    save_tiny_stable_diffusion,
    save_tiny_stable_diffusion_3,
    save_tiny_stable_diffusion_xl,
)


def opened(folder: Path, **settings: Any) -> PipelineAdapter:
    adapter = open_model(DiffusionSpec(model=str(folder), steps=4, **settings), folder)
    assert isinstance(adapter, PipelineAdapter)
    return adapter


def reconfigured(file: Path, **changes: Any) -> None:
    """Change settings in a model's JSON file."""
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), **changes}), "utf-8")


@pytest.mark.parametrize("pipeline", FAMILIES)
def test_every_entry_of_the_table_leads_to_an_adapter(pipeline: str) -> None:
    family = FAMILIES[pipeline]
    assert issubclass(family.adapter_class(), PipelineAdapter)
    assert family.adapter_class().names
    assert hasattr(import_module("diffusers"), pipeline)


def test_the_usual_guidance_is_that_of_the_pipelines(tmp_path: Path) -> None:
    saved = {
        7.5: save_tiny_stable_diffusion(tmp_path / "sd15"),
        5.0: save_tiny_stable_diffusion_xl(tmp_path / "sdxl"),
        7.0: save_tiny_stable_diffusion_3(tmp_path / "sd3"),
        3.5: save_tiny_flux(tmp_path / "flux"),
    }
    for usual, folder in saved.items():
        assert opened(folder).identity.guidance_scale == usual
        assert opened(folder, guidance_scale=2.0).identity.guidance_scale == 2.0


def test_sd15_counts_one_row_where_guidance_was_distilled_into_the_unet(tmp_path: Path) -> None:
    folder = save_tiny_stable_diffusion(tmp_path)
    assert [opened(folder, guidance_scale=scale).rows_per_evaluation for scale in (1.0, 7.5)] == [1, 2]
    reconfigured(folder / "unet" / "config.json", time_cond_proj_dim=256)
    assert opened(folder, guidance_scale=7.5, seed=1).rows_per_evaluation == 1


def test_sd15_blackens_no_image_whatever_safety_checker_it_comes_with(tmp_path: Path) -> None:
    latents = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    images, prints = [], set()
    for name, offended in (("none", None), ("strict", True)):
        adapter = opened(save_tiny_stable_diffusion(tmp_path / name, offended=offended), height=16, width=16)
        images.append(np.stack(adapter.decode(latents)))
        prints.add(adapter.decoder_fingerprint)
    assert np.array_equal(images[0], images[1])
    assert images[0].any()
    assert len(prints) == 1


def test_sdxl_encodes_an_empty_negative_prompt_as_its_index_says(tmp_path: Path) -> None:
    folder = save_tiny_stable_diffusion_xl(tmp_path)
    zeros = opened(folder)
    assert not zeros.encode(["a cat"], ["0"])["negative_prompt_embeds"].any()
    reconfigured(folder / "model_index.json", force_zeros_for_empty_prompt=False)
    texts = opened(folder, seed=1)  # the last model opened is kept, so ask for another one
    assert texts.encode(["a cat"], ["0"])["negative_prompt_embeds"].any()
    assert texts.encoder_fingerprint != zeros.encoder_fingerprint


def test_sdxl_has_no_watermark_whatever_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_tiny_stable_diffusion_xl(tmp_path)
    pipeline = import_module("diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl")
    monkeypatch.setattr(pipeline, "is_invisible_watermark_available", lambda: True)
    assert opened(folder).loaded.denoiser.watermark is None


def test_sd3_draws_no_larger_than_it_knows_positions(tmp_path: Path) -> None:
    folder = save_tiny_stable_diffusion_3(tmp_path)
    assert opened(folder, height=32).height == 32
    with pytest.raises(InputError, match=r"diffusion\.height: 36 is more than this model can draw; take 32"):
        opened(folder, height=36)


def test_sd3_reads_as_far_as_its_longest_reader(tmp_path: Path) -> None:
    long = "a" * 100
    with_t5 = opened(save_tiny_stable_diffusion_3(tmp_path / "with"))
    assert with_t5.warnings([long]) == []
    assert "longer than the 256 tokens" in with_t5.warnings([long, long * 3])[0]
    without = opened(save_tiny_stable_diffusion_3(tmp_path / "without", with_t5=False))
    (warning,) = without.warnings([long, "a cat"])
    assert warning.startswith("1 prompts are longer than the 24 tokens the text encoder reads, such as 'aaa")


def test_flux_schnell_takes_no_guidance_and_reads_half(tmp_path: Path) -> None:
    dev, schnell = (save_tiny_flux(tmp_path / name, guided=name == "dev") for name in ("dev", "schnell"))
    assert [opened(folder).reads for folder in (dev, schnell)] == [512, 256]
    assert opened(schnell).identity.guidance_scale == opened(schnell, guidance_scale=0).identity.guidance_scale == 0
    with pytest.raises(
        InputError, match=r"diffusion\.guidance_scale: 3\.5 means nothing to this model.*leave it out"
    ):
        opened(schnell, guidance_scale=3.5)


def test_the_schedule_of_flux_follows_the_size_of_the_image(tmp_path: Path) -> None:
    folder = save_tiny_flux(tmp_path)
    schedules = [opened(folder, height=side, width=side).identity.scheduler["timesteps"] for side in (16, 64)]
    assert schedules[0] != schedules[1]
    assert "denoiser" not in vars(opened(folder).loaded)  # no weight was loaded for that


@pytest.mark.parametrize("network", ["unet", "vae", "text_encoder"])
def test_pickled_weights_are_refused(tmp_path: Path, network: str) -> None:
    folder = save_tiny_stable_diffusion(tmp_path)
    (weights,) = (folder / network).glob("*.safetensors")
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(InputError) as refused:
        opened(folder)
    assert refused.value.file == folder / network
    assert weights.with_suffix(".bin").name in refused.value.problem


def test_whatever_changes_an_encoder_changes_its_fingerprint_alone(tmp_path: Path) -> None:
    folder = save_tiny_stable_diffusion(tmp_path)
    before = opened(folder)
    facts = (before.encoder_fingerprint, before.decoder_fingerprint, before.identity.denoiser)
    (folder / "tokenizer" / "added.json").write_text("{}")
    after = opened(folder, seed=1)
    assert after.encoder_fingerprint != facts[0]
    assert (after.decoder_fingerprint, after.identity.denoiser) == facts[1:]
