"""Settings of samplers by their diffusers names, and samplers that cannot branch."""

from __future__ import annotations

import math
from typing import Any, get_args

import pytest

from hierflow.errors import InputError
from hierflow.hashing import digest
from hierflow.models.schedulers import draws_noise, make_scheduler, plain_config, scheduler_identity, scheduler_name
from hierflow.spec import SchedulerName
from hierflow_tests.models.literal import overheard, sampler_of

NAMES = get_args(SchedulerName)
OWN = {
    "_class_name": "DDPMScheduler",
    "num_train_timesteps": 1000,
    "beta_schedule": "linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "variance_type": "learned_range",
}
FLOW = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 3.0}


def config_for(name: str) -> dict[str, Any]:
    return FLOW if name == "flow_euler" else OWN


@pytest.mark.parametrize("name", NAMES)
def test_a_sampler_keeps_its_name(name: str) -> None:
    sampler = sampler_of(name, config_for(name), 5)
    assert len(sampler.evaluations_a_step) == 5
    assert sum(sampler.evaluations_a_step) == len(sampler.scheduler.timesteps)
    assert scheduler_name(scheduler_identity(sampler.scheduler)) == name


def test_settings_of_the_models_own_sampler_are_left_out_without_a_word() -> None:
    own = {**OWN, "_class_name": "PNDMScheduler", "skip_prk_steps": True}
    with overheard() as said:
        make_scheduler("lcm", own)
    assert said == []


@pytest.mark.parametrize("own", NAMES)
def test_a_models_own_sampler_is_taken_as_it_is_configured(own: str) -> None:
    saved = dict(make_scheduler(own, config_for(own)).config)
    scheduler = make_scheduler(None, saved)
    assert scheduler.config.items() >= {key: saved[key] for key in saved if not key.startswith("_")}.items()
    assert type(scheduler).__name__ == saved["_class_name"]


def test_an_own_solver_keeps_what_its_name_would_set() -> None:
    own = {**OWN, "_class_name": "DPMSolverMultistepScheduler", "solver_order": 3, "variance_type": None}
    assert make_scheduler(None, own).config.solver_order == 3
    assert make_scheduler("dpmpp_2m", own).config.solver_order == 2


@pytest.mark.parametrize("own", ["DPMSolverSDEScheduler", "KDPM2DiscreteScheduler"])
def test_an_own_sampler_that_cannot_branch_is_refused_with_those_that_can(own: str) -> None:
    with pytest.raises(InputError, match=rf"diffusion\.scheduler: '{own}' is .* cannot branch.*ddim, ddpm, deis"):
        make_scheduler(None, {**OWN, "_class_name": own})
    assert make_scheduler("ddim", {**OWN, "_class_name": own}).config.beta_end == 0.012


ALL = set(NAMES) - {"flow_euler"}
FLOW_SOLVERS = {"deis", "dpmpp_2m", "dpmpp_2m_sde", "flow_euler", "unipc"}
V_PREDICTION = {**OWN, "prediction_type": "v_prediction"}
CONTINUOUS = {"_class_name": "EulerDiscreteScheduler", "timestep_type": "continuous", "sigma_max": 700.0}
BY_FLOW = {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}
MODELS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "epsilon": (OWN, ALL),
    "v-prediction": (V_PREDICTION, ALL),
    "zero-snr": ({**V_PREDICTION, "rescale_betas_zero_snr": True}, ALL - {"deis", "heun", "pndm"}),
    "sample": ({**OWN, "prediction_type": "sample"}, ALL - {"euler_ancestral", "heun", "pndm"}),
    "edm-dpm": ({"_class_name": "EDMDPMSolverMultistepScheduler"}, set()),
    "edm-euler": ({"_class_name": "EDMEulerScheduler", "prediction_type": "v_prediction"}, set()),
    "cosine": ({"_class_name": "CosineDPMSolverMultistepScheduler"}, set()),
    "continuous": (CONTINUOUS, {"euler"}),
    "flow": (FLOW, {"flow_euler"}),
    "flow-heun": ({**FLOW, "_class_name": "FlowMatchHeunDiscreteScheduler"}, {"flow_euler"}),
    "unipc-flow": ({"_class_name": "UniPCMultistepScheduler", **BY_FLOW, "flow_shift": 3.0}, FLOW_SOLVERS),
    "dpm-flow": ({"_class_name": "DPMSolverMultistepScheduler", **BY_FLOW, "flow_shift": 3.0}, FLOW_SOLVERS),
    "vq": ({"_class_name": "VQDiffusionScheduler"}, set()),
    "unknown": ({"_class_name": "NoSuchScheduler"}, set()),
}
"""Models by the scheduler they come with, and the samplers that suit them."""


@pytest.mark.parametrize("model", MODELS)
def test_only_samplers_that_fit_the_models_sigmas_and_prediction_are_taken(model: str) -> None:
    config, fitting = MODELS[model]
    for name in NAMES:
        if name in fitting:
            make_scheduler(name, config)
            continue
        with pytest.raises(InputError) as caught:
            make_scheduler(name, config)
        assert (caught.value.field, caught.value.value) == ("diffusion.scheduler", name)
        assert set(str(caught.value.remedy).replace(",", "").split()) & set(NAMES) == fitting


@pytest.mark.parametrize(
    ("model", "name", "options"),
    [
        ("epsilon", None, {"prediction_type": "v_prediction"}),
        ("epsilon", "ddim", {"rescale_betas_zero_snr": True}),
        ("epsilon", "euler", {"timestep_type": "continuous"}),
        ("epsilon", "unipc", BY_FLOW),
        ("zero-snr", "ddim", {"rescale_betas_zero_snr": False}),
        ("unipc-flow", None, {"use_flow_sigmas": False}),
        ("unipc-flow", "dpmpp_2m", {"algorithm_type": "dpmsolver"}),
        ("edm-euler", None, {"prediction_type": "epsilon"}),
    ],
)
def test_options_that_change_what_the_model_was_trained_for_are_refused(
    model: str, name: str | None, options: dict[str, Any]
) -> None:
    with pytest.raises(InputError) as caught:
        make_scheduler(name, MODELS[model][0], options)
    assert (caught.value.field, caught.value.value) == ("diffusion.scheduler_options", options)


def test_a_flow_model_takes_a_solver_that_options_set_up_for_flows() -> None:
    made = make_scheduler("dpmpp_2m", FLOW, BY_FLOW)
    assert (made.config.use_flow_sigmas, made.config.flow_shift) == (True, 3.0)
    assert make_scheduler("flow_euler", MODELS["unipc-flow"][0]).config.shift == 3.0


def test_what_a_models_config_leaves_out_is_what_its_own_class_has() -> None:
    assert make_scheduler("ddim", {"_class_name": "LCMScheduler"}).config.beta_schedule == "scaled_linear"


def test_infinite_settings_have_an_identity() -> None:
    own = {**OWN, "_class_name": "DPMSolverMultistepScheduler", "lambda_min_clipped": -math.inf}
    identity = scheduler_identity(sampler_of(None, own, 5).scheduler)
    assert identity["config"]["lambda_min_clipped"] == "-inf"
    assert digest(identity) == digest(scheduler_identity(sampler_of(None, own, 5).scheduler))
    assert plain_config({"a": [math.nan, (math.inf, 1.5)]}) == {"a": ["nan", ["inf", 1.5]]}


def test_options_have_the_last_word_and_are_part_of_the_identity() -> None:
    plain, karras = (sampler_of("dpmpp_2m", OWN, 5, **options) for options in ({}, {"use_karras_sigmas": True}))
    assert karras.scheduler.config.use_karras_sigmas
    assert karras.scheduler.timesteps.tolist() != plain.scheduler.timesteps.tolist()
    assert scheduler_identity(karras.scheduler) != scheduler_identity(plain.scheduler)
    assert sampler_of("dpmpp_2m", OWN, 5, solver_order=1).scheduler.config.solver_order == 1
    assert sampler_of(None, OWN, 5, beta_end=0.013).scheduler.config.beta_end == 0.013


@pytest.mark.parametrize(("name", "option"), [("euler", "solver_order"), ("ddim", "nonsense"), ("deis", "self")])
def test_an_option_of_another_sampler_is_refused_with_those_there_are(name: str, option: str) -> None:
    with pytest.raises(InputError, match=rf"diffusion\.scheduler_options: '{option}' is no option of .*beta_end, "):
        make_scheduler(name, OWN, {option: 1})


def test_a_learned_variance_cannot_be_asked_of_what_has_none() -> None:
    with pytest.raises(InputError, match="'variance_type' is no option of DPMSolverMultistepScheduler"):
        make_scheduler("dpmpp_2m", OWN, {"variance_type": "learned_range"})
    assert make_scheduler("ddpm", OWN, {"variance_type": "fixed_small"}).config.variance_type == "fixed_small"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("euler", {"use_karras_sigmas": True, "use_beta_sigmas": True}),
        ("ddim", {"beta_schedule": "nonsense"}),
        ("dpmpp_2m", {"algorithm_type": "nonsense"}),
    ],
)
def test_options_that_the_sampler_will_not_have_are_refused(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"diffusion\.scheduler_options: .* do not go together"):
        make_scheduler(name, OWN, options)


def test_samplers_that_add_noise_are_known_by_their_settings() -> None:
    identities = {name: scheduler_identity(sampler_of(name, config_for(name), 3).scheduler) for name in NAMES}
    noisy = {name for name, identity in identities.items() if draws_noise(identity)}
    assert noisy == {"ddpm", "euler_ancestral", "dpmpp_2m_sde", "lcm"}
    assert draws_noise(scheduler_identity(sampler_of(None, FLOW, 3, stochastic_sampling=True).scheduler))


@pytest.mark.parametrize("name", NAMES)
def test_more_steps_than_the_model_has_are_refused_by_every_sampler(name: str) -> None:
    with pytest.raises(InputError, match=f"diffusion.steps: 60 is more than the {name} scheduler can take"):
        sampler_of(name, {**config_for(name), "num_train_timesteps": 50}, 60)


def test_more_steps_than_a_sampler_was_distilled_for_are_refused() -> None:
    with pytest.raises(InputError, match=r"diffusion\.steps: 51 is more than the lcm scheduler can take"):
        sampler_of("lcm", OWN, 51)
    assert sampler_of("lcm", OWN, 51, original_inference_steps=100).evaluations_a_step == (1,) * 51


@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_steps_are_told_from_evaluations(steps: int) -> None:
    assert sampler_of("heun", OWN, steps).evaluations_a_step == (2,) * (steps - 1) + (1,)
    assert sampler_of("pndm", OWN, steps).evaluations_a_step == ((2,) + (1,) * (steps - 1) if steps > 1 else (1,))


def test_a_sampler_begins_anew_as_often_as_it_is_asked() -> None:
    import torch

    sampler = sampler_of("unipc", OWN, 4)
    x = torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(0))

    def through() -> torch.Tensor:
        sampler.restart()
        latents = x
        for index in range(4):
            latents = sampler.step(torch.sin(latents), index, latents, [])
        return latents

    first = through()
    assert torch.equal(through(), first)
