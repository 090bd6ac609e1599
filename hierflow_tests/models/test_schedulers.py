"""Samplers by name, with the model's own noise schedule."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from hierflow.errors import InputError
from hierflow.hashing import digest
from hierflow.models.schedulers import draws_noise, scheduler_identity
from hierflow_tests.models.literal import SCHEDULERS, sampler_of, step_with

CONFIG: dict[str, Any] = {
    "_class_name": "DDPMScheduler",
    "_diffusers_version": "0.42.1",
    "num_train_timesteps": 50,
    "beta_schedule": "linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "variance_type": "learned_range",
    "clip_sample": False,
}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_scheduler_has_its_class_the_models_schedule_and_its_steps(name: str) -> None:
    scheduler = sampler_of(name, CONFIG, 7).scheduler
    assert type(scheduler) is SCHEDULERS[name]
    assert scheduler.config.beta_end == 0.012
    assert len(scheduler.timesteps) == 7


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_learned_variance_is_for_ddpm_alone(name: str) -> None:
    learned = sampler_of(name, CONFIG, 7).scheduler.config.get("variance_type") == "learned_range"
    assert learned is (name == "ddpm")


@pytest.mark.parametrize("steps", [51, 1000])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_more_steps_than_the_model_has_timesteps_are_refused(name: str, steps: int) -> None:
    with pytest.raises(InputError, match=f"diffusion.steps: {steps} is more than the {name} .*take fewer steps"):
        sampler_of(name, CONFIG, steps)


@pytest.mark.parametrize("name", ["dpmpp_2m", "unipc"])
def test_steps_that_would_repeat_a_timestep_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"diffusion\.steps: 50"):
        sampler_of(name, CONFIG, 50)
    assert len(set(sampler_of("ddpm", CONFIG, 50).scheduler.timesteps.tolist())) == 50


@pytest.mark.parametrize("name", SCHEDULERS)
def test_an_identity_is_json_and_tells_schedulers_and_steps_apart(name: str) -> None:
    identity = scheduler_identity(sampler_of(name, CONFIG, 7).scheduler)
    assert json.loads(json.dumps(identity, allow_nan=False)) == identity
    others = [scheduler_identity(sampler_of(other, CONFIG, 7).scheduler) for other in SCHEDULERS if other != name]
    others.append(scheduler_identity(sampler_of(name, CONFIG, 8).scheduler))
    others.append(scheduler_identity(sampler_of(name, {**CONFIG, "beta_end": 0.013}, 7).scheduler))
    assert digest(identity) not in {digest(other) for other in others}
    assert digest(identity) == digest(scheduler_identity(sampler_of(name, CONFIG, 7).scheduler))


def test_an_identity_does_not_depend_on_the_librarys_version() -> None:
    other = {**CONFIG, "_diffusers_version": "0.42.9"}
    assert scheduler_identity(sampler_of("ddpm", CONFIG, 7).scheduler) == scheduler_identity(
        sampler_of("ddpm", other, 7).scheduler
    )


@pytest.mark.parametrize("name", SCHEDULERS)
def test_stochastic_samplers_are_those_that_draw(name: str) -> None:
    scheduler = sampler_of(name, CONFIG, 4).scheduler
    generator = torch.Generator()
    before = generator.get_state()
    output = torch.ones(1, 8 if name == "ddpm" else 4, 2, 2)
    step_with(scheduler, output, 1, torch.ones(1, 4, 2, 2), generator)
    assert torch.equal(generator.get_state(), before) is not draws_noise(scheduler_identity(scheduler))
