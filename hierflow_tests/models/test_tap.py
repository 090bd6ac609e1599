"""A tapped pipeline predicts, starts and decodes one step at a time, and nothing else happens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from hierflow.models.tap import TappedPipeline
from hierflow_tests.models.literal import SCHEDULERS, Literal, pipeline_of, scheduler_of
from hierflow_tests.tiny_models import DIM, SIZE

STEPS = 5
CPU = torch.device("cpu")
CALL = {"height": SIZE, "width": SIZE, "num_inference_steps": STEPS, "guidance_scale": 4.0}


@pytest.fixture
def scheduler(tiny: Path) -> Any:
    scheduler = scheduler_of(tiny, "ddpm")
    scheduler.set_timesteps(STEPS)
    return scheduler


@pytest.fixture
def tapped(tiny: Path, scheduler: Any) -> TappedPipeline:
    return TappedPipeline(pipeline_of(tiny), scheduler, CPU)


@pytest.fixture
def conditioning() -> dict[str, torch.Tensor]:
    noise = torch.Generator().manual_seed(0)
    return {name: torch.randn(8, DIM, generator=noise) for name in ("image_embeds", "negative_image_embeds")}


LATENTS = torch.randn(8, 4, SIZE // 2, SIZE // 2, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("index", [0, 3, STEPS - 1])
def test_a_prediction_is_the_networks_guided_output(
    tiny: Path, tapped: TappedPipeline, conditioning: dict[str, torch.Tensor], index: int
) -> None:
    literal = Literal(tiny, "ddpm", STEPS, guidance=4.0)
    one = {name: rows[:1].repeat(8, 1) for name, rows in conditioning.items()}
    output = tapped.predict(index, **CALL, latents=LATENTS[:1].repeat(8, 1, 1, 1), **one)
    expected = literal.predict(LATENTS[:1], index + 1, {name: rows[:1] for name, rows in conditioning.items()})
    assert output.shape == (8, *expected.shape[1:])
    assert torch.equal(output[:1], expected)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_predicting_does_not_step(tiny: Path, name: str, conditioning: dict[str, torch.Tensor]) -> None:
    scheduler = scheduler_of(tiny, name)
    scheduler.set_timesteps(STEPS)
    before = {key: value for key, value in vars(scheduler).items() if not torch.is_tensor(value)}
    timesteps, latents = scheduler.timesteps.clone(), LATENTS.clone()
    TappedPipeline(pipeline_of(tiny), scheduler, CPU).predict(2, **CALL, latents=latents, **conditioning)
    after = {key: value for key, value in vars(scheduler).items() if not torch.is_tensor(value)}
    assert after == before
    assert torch.equal(scheduler.timesteps, timesteps)
    assert torch.equal(latents, LATENTS)


def test_the_tap_shares_the_schedulers_state(
    tapped: TappedPipeline, scheduler: Any, conditioning: dict[str, torch.Tensor]
) -> None:
    scheduler.set_timesteps(2)
    predictions = [tapped.predict(i, **CALL, latents=LATENTS, **conditioning) for i in range(2)]
    assert not torch.equal(*predictions)
    with pytest.raises(ValueError, match="not enough values"):
        tapped.predict(2, **CALL, latents=LATENTS, **conditioning)


def test_initial_latents_are_the_pipelines_own_scaled_noise(tiny: Path) -> None:
    for name, is_scaled in (("ddpm", False), ("euler", True)):
        scheduler = scheduler_of(tiny, name)
        scheduler.set_timesteps(STEPS)
        tapped = TappedPipeline(pipeline_of(tiny), scheduler, CPU)
        generators = [torch.Generator().manual_seed(seed) for seed in (3, 4)]
        nothing = torch.zeros(2, DIM)
        made = tapped.initial_latents(
            **CALL, image_embeds=nothing, negative_image_embeds=nothing, generator=generators
        )
        noise = [torch.randn(1, *LATENTS.shape[1:], generator=torch.Generator().manual_seed(seed)) for seed in (3, 4)]
        assert torch.equal(made, torch.cat(noise) * scheduler.init_noise_sigma)
        assert bool(scheduler.init_noise_sigma > 1) is is_scaled


def test_latents_that_are_given_are_not_scaled_again(tiny: Path, conditioning: dict[str, torch.Tensor]) -> None:
    scheduler = scheduler_of(tiny, "euler")
    scheduler.set_timesteps(STEPS)
    images = TappedPipeline(pipeline_of(tiny), scheduler, CPU).decode("pt", **CALL, latents=LATENTS, **conditioning)
    with torch.no_grad():
        expected = pipeline_of(tiny).movq.decode(LATENTS, force_not_quantize=True).sample
    assert torch.equal(images, expected)


def test_the_pipeline_itself_is_left_as_it_was(
    tiny: Path, tapped: TappedPipeline, conditioning: dict[str, torch.Tensor]
) -> None:
    pipeline = pipeline_of(tiny)
    before = (type(pipeline), pipeline.scheduler)
    tapped.predict(0, **CALL, latents=LATENTS, **conditioning)
    assert (type(pipeline), pipeline.scheduler) == before


def test_a_failed_call_leaves_the_tap_usable(tapped: TappedPipeline, conditioning: dict[str, torch.Tensor]) -> None:
    expected = tapped.predict(1, **CALL, latents=LATENTS, **conditioning)
    with pytest.raises(ValueError, match="Unexpected latents shape"):
        tapped.predict(1, **CALL, latents=LATENTS[:, :3], **conditioning)
    assert torch.equal(tapped.predict(1, **CALL, latents=LATENTS, **conditioning), expected)
