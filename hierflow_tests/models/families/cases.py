"""The families the suite runs for: a tiny model each, and its guided denoiser written out by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from diffusers.pipelines.flux.pipeline_flux import calculate_shift

from hierflow_tests.tiny_models import (
    SIZE,
    save_tiny_flux,
    save_tiny_stable_diffusion,
    save_tiny_stable_diffusion_3,
    save_tiny_stable_diffusion_xl,
)

BATCH = 8
"""Rows a network call; the engine's own fixed batch, said again here."""
LATENTS = (1, 4, SIZE // 2, SIZE // 2)

Tensors = Mapping[str, torch.Tensor]
Predict = Callable[[Any, Any, float, torch.Tensor, torch.Tensor, Tensors], torch.Tensor]


@dataclass(frozen=True)
class Case:
    """A family, or a kind of it.

    Attributes:
        name: of the case.
        save: writes its tiny model to a folder.
        pipeline: its diffusers pipeline.
        predict: (pipeline, scheduler, guidance, x, t, conditioning) -> the guided model output, all of BATCH rows.
        guidance: what its pipeline takes by default; 0 for one that was distilled to do without.
        call: what its pipeline's call needs besides prompts, size and sampling.
        packed: whether latents travel as a sequence of patches.
        set_timesteps: (scheduler, steps) -> None.
        negative: whether a negative prompt means anything to it.
        absent: components its model goes without.
    """

    name: str
    save: Callable[[Path], Path]
    pipeline: str
    predict: Predict
    guidance: float
    call: Mapping[str, Any] = field(default_factory=dict)
    packed: bool = False
    set_timesteps: Callable[[Any, int], None] = lambda scheduler, steps: scheduler.set_timesteps(steps)
    negative: bool = True
    absent: tuple[str, ...] = ()

    def own_pipeline(self, folder: Path) -> Any:
        """The unmodified pipeline, in float32."""
        return _loaded(self.pipeline, folder, self.absent)

    def noise(self, generator: torch.Generator) -> torch.Tensor:
        """Unscaled initial noise of one row, as the pipeline takes it for `latents`."""
        drawn = torch.randn(LATENTS, generator=generator)
        if not self.packed:
            return drawn
        _, channels, height, width = LATENTS
        patches = drawn.view(1, channels, height // 2, 2, width // 2, 2).permute(0, 2, 4, 1, 3, 5)
        return patches.reshape(1, height * width // 4, 4 * channels)


@cache
def _loaded(pipeline: str, folder: Path, absent: tuple[str, ...]) -> Any:
    loaded = getattr(diffusers, pipeline).from_pretrained(
        folder, dtype=torch.float32, use_safetensors=True, **dict.fromkeys(absent)
    )
    loaded.set_progress_bar_config(disable=True)
    return loaded


def _guided(output: torch.Tensor, guidance: float) -> torch.Tensor:
    if guidance <= 1:
        return output
    without, with_prompt = output.chunk(2)
    return without + guidance * (with_prompt - without)


def _both(rows: Tensors, name: str, guidance: float) -> torch.Tensor:
    return rows[name] if guidance <= 1 else torch.cat([rows[f"negative_{name}"], rows[name]])


def _stable_diffusion(
    pipeline: Any, scheduler: Any, guidance: float, x: torch.Tensor, t: torch.Tensor, rows: Tensors
) -> torch.Tensor:
    x = scheduler.scale_model_input(torch.cat([x, x]) if guidance > 1 else x, t)
    return _guided(pipeline.unet(x, t, encoder_hidden_states=_both(rows, "prompt_embeds", guidance)).sample, guidance)


def _stable_diffusion_xl(
    pipeline: Any, scheduler: Any, guidance: float, x: torch.Tensor, t: torch.Tensor, rows: Tensors
) -> torch.Tensor:
    x = scheduler.scale_model_input(torch.cat([x, x]) if guidance > 1 else x, t)
    sizes = torch.tensor([[SIZE, SIZE, 0, 0, SIZE, SIZE]], dtype=torch.float32).repeat(len(x), 1)
    added = {"text_embeds": _both(rows, "pooled_prompt_embeds", guidance), "time_ids": sizes}
    embeds = _both(rows, "prompt_embeds", guidance)
    return _guided(pipeline.unet(x, t, encoder_hidden_states=embeds, added_cond_kwargs=added).sample, guidance)


def _stable_diffusion_3(
    pipeline: Any, scheduler: Any, guidance: float, x: torch.Tensor, t: torch.Tensor, rows: Tensors
) -> torch.Tensor:
    x = torch.cat([x, x]) if guidance > 1 else x
    output = pipeline.transformer(
        hidden_states=x,
        timestep=t.expand(len(x)),
        encoder_hidden_states=_both(rows, "prompt_embeds", guidance),
        pooled_projections=_both(rows, "pooled_prompt_embeds", guidance),
    )
    return _guided(output.sample, guidance)


def _flux(
    pipeline: Any, scheduler: Any, guidance: float, x: torch.Tensor, t: torch.Tensor, rows: Tensors
) -> torch.Tensor:
    side = SIZE // 4
    places = torch.stack(torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij"), dim=-1).reshape(-1, 2)
    output: torch.Tensor = pipeline.transformer(
        hidden_states=x,
        timestep=t.expand(len(x)) / 1000,
        guidance=torch.full([len(x)], guidance) if guidance else None,
        pooled_projections=rows["pooled_prompt_embeds"],
        encoder_hidden_states=rows["prompt_embeds"],
        txt_ids=torch.zeros(rows["prompt_embeds"].shape[1], 3),
        img_ids=torch.cat([torch.zeros(len(places), 1), places.float()], dim=1),
    ).sample
    return output


def _shifted_by_size(scheduler: Any, steps: int, *, from_sigmas: bool, largest: float) -> None:
    mu = calculate_shift((SIZE // 4) ** 2, 256, 4096, 0.5, largest)
    if from_sigmas:
        scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps), mu=mu)
    else:
        scheduler.set_timesteps(steps, mu=mu)


CASES = (
    Case("sd15", save_tiny_stable_diffusion, "StableDiffusionPipeline", _stable_diffusion, 7.5),
    Case("sdxl", save_tiny_stable_diffusion_xl, "StableDiffusionXLPipeline", _stable_diffusion_xl, 5.0),
    Case("sd3", save_tiny_stable_diffusion_3, "StableDiffusion3Pipeline", _stable_diffusion_3, 7.0),
    Case(
        "sd3-without-t5",
        partial(save_tiny_stable_diffusion_3, with_t5=False, dynamic=True),
        "StableDiffusion3Pipeline",
        _stable_diffusion_3,
        7.0,
        set_timesteps=partial(_shifted_by_size, from_sigmas=False, largest=1.15),
        absent=("text_encoder_3", "tokenizer_3"),
    ),
    Case(
        "flux-dev",
        save_tiny_flux,
        "FluxPipeline",
        _flux,
        3.5,
        call={"max_sequence_length": 512},
        packed=True,
        set_timesteps=partial(_shifted_by_size, from_sigmas=True, largest=1.15),
        negative=False,
    ),
    Case(
        "flux-schnell",
        partial(save_tiny_flux, guided=False),
        "FluxPipeline",
        _flux,
        0.0,
        call={"max_sequence_length": 256},
        packed=True,
        set_timesteps=partial(_shifted_by_size, from_sigmas=True, largest=1.15),
        negative=False,
    ),
)
