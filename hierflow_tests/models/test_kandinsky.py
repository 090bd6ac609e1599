"""What is Kandinsky's own: its prior, negative prompts included, and the samplers it was not made for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import KandinskyV22PriorPipeline

from hierflow.conditioning import Conditioning
from hierflow.hashing import seed_from, text_hash
from hierflow.models.registry import open_model
from hierflow.spec import DiffusionSpec
from hierflow_tests.stages.runs import carry_out, spec_of

TEXTS = ["a red mug", "two green cats"]
KEYS = [text_hash(text) for text in TEXTS]
NEGATIVE = "a dog"


def encoded(folder: Path, negative: str | None) -> Conditioning:
    spec = DiffusionSpec(model=str(folder), steps=4, prior_steps=3, negative_prompt=negative)
    return open_model(spec, folder).encode(TEXTS, KEYS)


def keyed(key: str) -> torch.Generator:
    return torch.Generator().manual_seed(seed_from("hierflow prior noise 1", 0, key))


@pytest.mark.parametrize("negative", [None, NEGATIVE])
def test_embeddings_are_those_of_the_prior_itself(tiny_learned: Path, negative: str | None) -> None:
    prior = KandinskyV22PriorPipeline.from_pretrained(tiny_learned / "prior", use_safetensors=True)
    prior.set_progress_bar_config(disable=True)
    made = encoded(tiny_learned, negative)
    for row, text in enumerate(TEXTS):
        generators = [keyed(KEYS[row]) for _ in range(8)]
        if negative:
            generators += [keyed(text_hash(negative)) for _ in range(8)]
        own: Any = prior(
            [text] * 8,
            negative_prompt=[negative] * 8 if negative else None,
            num_inference_steps=3,
            guidance_scale=4.0,
            generator=generators,
        )
        assert np.array_equal(made["image_embeds"][row], own.image_embeds[0].numpy())
        assert np.array_equal(made["negative_image_embeds"][row], own.negative_image_embeds[0].numpy())


def test_a_negative_prompt_is_one_for_all_and_changes_what_is_encoded(tiny_learned: Path) -> None:
    without, with_negative = encoded(tiny_learned, None), encoded(tiny_learned, NEGATIVE)
    assert np.array_equal(*with_negative["negative_image_embeds"])
    for name, array in without.items():
        assert not np.allclose(array, with_negative[name], atol=1e-3)


def test_identities_say_whether_there_is_a_negative_prompt() -> None:
    plain, none, negative = (
        open_model(DiffusionSpec(**settings), Path())
        for settings in ({}, {"negative_prompt": None}, {"negative_prompt": NEGATIVE})
    )
    assert plain.encoder_fingerprint == none.encoder_fingerprint != negative.encoder_fingerprint
    assert plain.identity == negative.identity


def test_the_usual_settings_said_aloud_are_the_usual_settings() -> None:
    adapters = [open_model(DiffusionSpec(**settings), Path()) for settings in ({}, {"guidance_scale": 4.0})]
    adapters += [open_model(DiffusionSpec(scheduler="ddpm", guidance_scale=4), Path())]
    assert len({adapter.identity.root(0) for adapter in adapters}) == 1


def test_a_variation_shares_networks_and_scores(tiny_learned: Path) -> None:
    adapter = open_model(DiffusionSpec(model=str(tiny_learned), steps=4), tiny_learned)
    other = adapter.varied(negative_prompt=NEGATIVE, width=24, height=None)
    assert other.network is adapter.network
    assert other.clip_fingerprint == adapter.clip_fingerprint
    assert (other.identity.width, other.identity.height) == (24, 16)
    assert other.encoder_fingerprint != adapter.encoder_fingerprint


@pytest.mark.parametrize("scheduler", ["heun", "pndm", "deis", "lcm", "dpmpp_2m_sde"])
def test_every_sampler_draws_kandinskys_images(tiny: Path, scheduler: str) -> None:
    prompts = ["a red mug", "a blue mug", "two green cats"]
    run = carry_out(spec_of(tiny, prompts=prompts, sharing={"tau": 2.0}, scheduler=scheduler))
    assert run.account.books.problems == ()
    assert run.compiled.plan.is_split.any()
    assert all(row.status == "current" for row in run.assembled.rows)
