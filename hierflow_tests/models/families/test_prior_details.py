"""What is the unCLIP families' own: a prior within the model, and a decoder that is a sampler itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import pipelines
from pydantic import ValidationError

from hierflow.errors import InputError
from hierflow.models.former_pipelines import former_pipelines
from hierflow.models.pipeline_adapter import PipelineAdapter
from hierflow.models.registry import open_model
from hierflow.models.schedulers import draws_noise, scheduler_name
from hierflow.spec import DiffusionSpec
from hierflow_tests.stages.runs import carry_out, spec_of
from hierflow_tests.tiny_models import save_tiny_stable_unclip, save_tiny_unclip


@pytest.fixture(scope="module")
def karlo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_unclip(tmp_path_factory.mktemp("unclip"))


def opened(folder: Path, **settings: object) -> PipelineAdapter:
    spec = DiffusionSpec.model_validate({"model": str(folder), "steps": 4, "prior_steps": 2, **settings})
    adapter = open_model(spec, folder)
    assert isinstance(adapter, PipelineAdapter)
    return adapter


def test_a_prior_of_one_step_is_refused(karlo: Path, tmp_path: Path) -> None:
    for folder in (karlo, save_tiny_stable_unclip(tmp_path)):
        assert opened(folder).prior_evaluations_per_prompt == 2
        with pytest.raises(InputError, match=r"diffusion\.prior_steps: 1 is too few steps .*take at least 2"):
            opened(folder, prior_steps=1)


def test_unclip_takes_two_steps_at_least(karlo: Path) -> None:
    with pytest.raises(InputError, match=r"diffusion\.steps: 1 is too few steps .*take at least 2"):
        opened(karlo, steps=1)


def test_unclip_guides_both_its_samplers_or_neither(karlo: Path) -> None:
    scales = [(8.0, 4.0), (1.0, 4.0), (8.0, 1.0), (1.0, 1.0)]
    adapters = [opened(karlo, guidance_scale=own, prior_guidance_scale=prior) for own, prior in scales]
    assert [adapter.rows_per_evaluation for adapter in adapters] == [2, 2, 2, 1]
    plain = adapters[-1]
    rows = {name: torch.from_numpy(array) for name, array in plain.encode(["a cat"], ["0"]).items()}
    latents = plain.initial_latents([torch.Generator().manual_seed(0)])
    away = {name: torch.zeros_like(row) if name.startswith("negative_") else row for name, row in rows.items()}
    assert torch.equal(plain.predict(latents, 1, rows), plain.predict(latents, 1, away))


def test_unclips_super_resolution_is_the_same_beside_whatever_it_is_done(karlo: Path) -> None:
    adapter = opened(karlo)
    latents = torch.randn(9, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    together = np.stack(adapter.decode(latents))
    assert np.array_equal(together[[8, 3]], adapter.decode(latents[[8, 3]]))
    assert np.array_equal(together, opened(karlo, seed=1).decode(latents))
    assert not np.array_equal(together[0], together[1])


@pytest.mark.parametrize("scheduler", ["ddpm", "ddim", "euler"])
def test_other_samplers_draw_unclips_images(karlo: Path, scheduler: str) -> None:
    prompts = ["a red mug", "a blue mug", "two green cats"]
    run = carry_out(spec_of(karlo, prompts=prompts, sharing={"tau": 2.0}, steps=4, scheduler=scheduler))
    assert run.account.books.problems == ()
    assert all(row.status == "current" for row in run.assembled.rows)


def test_unclips_own_sampler_has_a_name_that_no_document_can_give(karlo: Path) -> None:
    own = opened(karlo).identity.scheduler
    assert scheduler_name(own) == "unclip"
    assert draws_noise(own)
    with pytest.raises(ValidationError, match="scheduler"):
        DiffusionSpec.model_validate({"scheduler": "unclip"})


def test_a_former_pipeline_is_found_only_while_it_is_asked_for() -> None:
    assert not hasattr(pipelines, "unclip")
    with former_pipelines(["unclip", "transformers", "flux"]):
        assert pipelines.unclip is pipelines.deprecated.unclip
        assert not hasattr(pipelines, "transformers")
    assert not hasattr(pipelines, "unclip")
    assert hasattr(pipelines, "flux")
