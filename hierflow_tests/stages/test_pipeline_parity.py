"""Without sharing, latents and images are those of the model's own diffusers pipeline, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hierflow.denoise.noise import INITIAL, generator
from hierflow.mini import WEIGHTS
from hierflow_tests.models.literal import BATCH, GUIDANCE, Literal, pipeline_of, scheduler_of, step_with
from hierflow_tests.stages.runs import STEPS, Run, carry_out, spec_of

ALONE = {"tau": 0.0}


def own_pipeline(folder: Path, run: Run, leaf: int) -> tuple[torch.Tensor, np.ndarray]:
    """The latents and the image diffusers' pipeline makes of one prompt: our x_T, and our noise key at every step."""
    spec, text = run.stage.spec.diffusion, run.compiled.planted.texts[leaf]
    pipeline = pipeline_of(folder)
    pipeline.scheduler = scheduler_of(folder, spec.scheduler)
    size = pipeline.unet.config.sample_size
    x = torch.randn((1, 4, size, size), generator=generator(spec.seed, 0, text, INITIAL))
    generators = [generator(spec.seed, 0, text, 1) for _ in range(BATCH)]

    told: list[torch.Tensor] = []

    def reseed(_: Any, index: int, __: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        told.append(tensors["latents"])
        for row in generators:
            row.set_state(generator(spec.seed, 0, text, index + 2).get_state())
        return tensors

    image = pipeline(
        **{name: rows[leaf : leaf + 1].repeat(BATCH, 1) for name, rows in run.conditioning().items()},
        latents=x.repeat(BATCH, 1, 1, 1),
        height=run.compiled.document.sampling.height,
        width=run.compiled.document.sampling.width,
        num_inference_steps=spec.steps,
        guidance_scale=GUIDANCE if spec.guidance_scale is None else spec.guidance_scale,
        generator=generators,
        callback_on_step_end=reseed,
        output_type="np",
        return_dict=False,
    )[0][0]
    return told[-1][0], image


def assert_own_pipeline(folder: Path, run: Run) -> None:
    latents, pixels = run.latents(), run.pixels()
    for text, hashed in zip(run.prompts.distinct, run.prompts.hashes, strict=True):
        leaf = run.compiled.planted.leaf_of[hashed]
        expected, image = own_pipeline(folder, run, leaf)
        assert torch.equal(latents[text, 0][0], expected)
        assert np.array_equal(pixels[text, 0], (image * 255).round().astype(np.uint8))


@pytest.mark.parametrize("guidance", [1.0, 4.0])
@pytest.mark.parametrize("scheduler", ["ddpm", "ddim", "dpmpp_2m"])
def test_unshared_images_are_the_pipelines_own(tiny: Path, scheduler: str, guidance: float) -> None:
    run = carry_out(spec_of(tiny, sharing=ALONE, scheduler=scheduler, guidance_scale=guidance, seed=3))
    assert run.compiled.plan.evaluations == run.compiled.plan.standard_evaluations
    assert_own_pipeline(tiny, run)


@pytest.mark.parametrize("scheduler", ["unipc", "euler", "euler_ancestral"])
def test_unshared_latents_are_those_of_a_literal_loop(tiny: Path, scheduler: str) -> None:
    run = carry_out(spec_of(tiny, sharing=ALONE, scheduler=scheduler))
    latents, conditioning = run.latents(), run.conditioning()
    for text, hashed in zip(run.prompts.distinct, run.prompts.hashes, strict=True):
        leaf = run.compiled.planted.leaf_of[hashed]
        literal = Literal(tiny, scheduler, STEPS, guidance=4.0)
        x = literal.initial(generator(0, 0, hashed, INITIAL))
        for k in range(1, STEPS + 1):
            output = literal.predict(x, k, {name: rows[leaf : leaf + 1] for name, rows in conditioning.items()})
            x = step_with(literal.scheduler, output, k, x, generator(0, 0, hashed, k))
        assert torch.equal(latents[text, 0], x)


def test_unshared_images_of_the_mini_model_are_its_pipelines_own() -> None:
    prompts = ["a photo of a red mug on a wooden table", "a line drawing of a blue chair"]
    run = carry_out(spec_of("mini", prompts=prompts, sharing=ALONE, steps=4))
    assert_own_pipeline(WEIGHTS, run)


def test_prompts_that_share_nothing_give_different_images(tiny: Path) -> None:
    pixels = list(carry_out(spec_of(tiny, sharing=ALONE)).pixels().values())
    assert all(not np.array_equal(one, other) for i, one in enumerate(pixels) for other in pixels[:i])
