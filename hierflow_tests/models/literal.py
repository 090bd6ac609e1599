"""A Kandinsky 2.2 decoder taken step by step with nothing of hierflow in between: what the engine must equal."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import KandinskyV22Pipeline

from hierflow.models.sampler import Sampler
from hierflow.models.schedulers import make_sampler, make_scheduler

BATCH = 8
"""Rows a network call; the engine's own fixed batch, said again here."""
SCHEDULERS = {
    "ddpm": diffusers.DDPMScheduler,
    "ddim": diffusers.DDIMScheduler,
    "dpmpp_2m": diffusers.DPMSolverMultistepScheduler,
    "unipc": diffusers.UniPCMultistepScheduler,
    "euler": diffusers.EulerDiscreteScheduler,
    "euler_ancestral": diffusers.EulerAncestralDiscreteScheduler,
}
GUIDANCE = 4.0
"""What Kandinsky's own pipeline takes."""
EULER = (diffusers.EulerDiscreteScheduler, diffusers.EulerAncestralDiscreteScheduler)
"""These want their input divided by sqrt(sigma^2 + 1)."""


@cache
def pipeline_of(folder: Path) -> Any:
    """The unmodified pipeline of the model in `folder`, in float32."""
    pipeline = KandinskyV22Pipeline.from_pretrained(folder / "decoder", dtype=torch.float32, use_safetensors=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def scheduler_of(folder: Path, name: str | None) -> Any:
    """The diffusers scheduler called `name` with the model's noise schedule, no steps set; None is its own, DDPM."""
    name = name or "ddpm"
    config = dict(diffusers.DDPMScheduler.load_config(folder / "decoder", subfolder="scheduler"))
    if name != "ddpm":
        config.pop("variance_type")
    return SCHEDULERS[name].from_config(config)


class Literal:
    """The guided denoiser, one row at a time in a batch of copies.

    Args:
        folder: the model.
        scheduler: one of :data:`SCHEDULERS`, None for the model's own.
        steps: denoising steps.
        guidance: guidance scale, None for the usual one.
    """

    def __init__(self, folder: Path, scheduler: str | None, steps: int, guidance: float | None) -> None:
        self.unet = pipeline_of(folder).unet
        self.scheduler = scheduler_of(folder, scheduler)
        self.scheduler.set_timesteps(steps)
        self.guidance = GUIDANCE if guidance is None else guidance
        self.learned = self.scheduler.config.get("variance_type") in ("learned", "learned_range")

    def initial(self, generator: torch.Generator) -> torch.Tensor:
        """x_T, (1, 4, h, w)."""
        size = self.unet.config.sample_size
        return torch.randn((1, 4, size, size), generator=generator) * self.scheduler.init_noise_sigma

    @torch.no_grad()
    def predict(self, x: torch.Tensor, k: int, conditioning: dict[str, torch.Tensor]) -> torch.Tensor:
        """The guided output at step `k` (1-based) for one row `x`."""
        t = self.scheduler.timesteps[k - 1]
        if isinstance(self.scheduler, EULER):
            x = x / (self.scheduler.sigmas[k - 1] ** 2 + 1) ** 0.5
        x = x.repeat(BATCH, 1, 1, 1)
        embeds = conditioning["image_embeds"].repeat(BATCH, 1)
        if self.guidance > 1:
            embeds = torch.cat([conditioning["negative_image_embeds"].repeat(BATCH, 1), embeds])
            x = torch.cat([x, x])
        output = self.unet(x, t, encoder_hidden_states=None, added_cond_kwargs={"image_embeds": embeds}).sample
        noise, variance = output[:, :4], output[:, 4:]
        if self.guidance > 1:
            without, with_prompt = noise.chunk(2)
            noise = without + self.guidance * (with_prompt - without)
            variance = variance.chunk(2)[1]
        return (torch.cat([noise, variance], dim=1) if self.learned else noise)[:1]


@contextmanager
def overheard() -> Iterator[list[str]]:
    """What diffusers and transformers say meanwhile; their own handlers write to wherever stderr was at first."""
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    loggers = [logging.getLogger(name) for name in ("diffusers", "transformers")]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield said
    finally:
        for logger in loggers:
            logger.removeHandler(handler)


def sampler_of(name: str | None, config: dict[str, Any], steps: int, **options: Any) -> Sampler:
    """hierflow's own sampler for a model's scheduler configuration."""
    scheduler = make_scheduler(name, config, options)
    return make_sampler(scheduler, steps, lambda: scheduler.set_timesteps(steps))


def step_with(scheduler: Any, output: torch.Tensor, k: int, x: torch.Tensor, generators: Any) -> torch.Tensor:
    """The sampler's step `k` (1-based), with noise where it draws any."""
    noise = {} if isinstance(scheduler, diffusers.UniPCMultistepScheduler) else {"generator": generators}
    latents: torch.Tensor = scheduler.step(output, scheduler.timesteps[k - 1], x, **noise).prev_sample
    return latents
