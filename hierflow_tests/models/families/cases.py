"""The families the suite runs for: a tiny model each, and its guided denoiser written out by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import diffusers
import torch

from hierflow.models.families.unclip import super_resolution_generator
from hierflow.models.former_pipelines import former_pipelines
from hierflow_tests.models.families.literals import (
    Tensors,
    asked_of_qwen_image,
    asked_plainly,
    flux,
    flux2,
    flux2_klein,
    qwen_image,
    shifted_by_size,
    shifted_by_size_and_steps,
    stable_diffusion,
    stable_diffusion_3,
    stable_diffusion_xl,
    stable_unclip,
    stable_unclips_own,
    unclip,
    unclips_own,
)
from hierflow_tests.tiny_models import (
    SIZE,
    save_tiny_flux,
    save_tiny_flux2,
    save_tiny_flux2_klein,
    save_tiny_qwen_image,
    save_tiny_stable_diffusion,
    save_tiny_stable_diffusion_3,
    save_tiny_stable_diffusion_xl,
    save_tiny_stable_unclip,
    save_tiny_unclip,
)

LATENTS = (1, 4, SIZE // 2, SIZE // 2)

Own = Callable[[Any, torch.Tensor, str, list[torch.Generator], dict[str, Any]], Any]
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
        asked: (pipeline, text, negative prompt, guidance) -> how its call is asked for BATCH images of a text.
        packed: whether latents travel as a sequence of patches.
        set_timesteps: (scheduler, steps) -> None.
        negative: whether a negative prompt means anything to it.
        absent: components its model goes without.
        scheduler: the component that is its denoiser's scheduler.
        latents: the shape of one row's, unpacked.
        tells_patches: whether its callback tells of latents as patches, though it takes them whole.
        one_size: whether it draws images of one size only.
        own: for pipelines whose prior runs within the call: (pipeline, latents of BATCH rows, text, generators of
            the prior's noise, negative prompt as an argument) -> the images.
        after: the generator of noise that is drawn after the last step.
    """

    name: str
    save: Callable[[Path], Path]
    pipeline: str
    predict: Predict
    guidance: float
    call: Mapping[str, Any] = field(default_factory=dict)
    asked: Callable[[Any, str, str | None, float], dict[str, Any]] = asked_plainly
    packed: bool = False
    set_timesteps: Callable[[Any, int], None] = lambda scheduler, steps: scheduler.set_timesteps(steps)
    negative: bool = True
    absent: tuple[str, ...] = ()
    scheduler: str = "scheduler"
    latents: tuple[int, ...] = LATENTS
    tells_patches: bool = False
    one_size: bool = False
    own: Own | None = None
    after: Callable[[], torch.Generator] | None = None

    def own_pipeline(self, folder: Path) -> Any:
        """The unmodified pipeline, in float32."""
        return _loaded(self.pipeline, folder, self.absent)

    def noise(self, generator: torch.Generator) -> torch.Tensor:
        """Unscaled initial noise of one row, as the pipeline takes it for `latents`."""
        drawn = torch.randn(self.latents, generator=generator)
        if not self.packed:
            return drawn
        _, channels, height, width = self.latents
        patches = drawn.view(1, channels, height // 2, 2, width // 2, 2).permute(0, 2, 4, 1, 3, 5)
        return patches.reshape(1, height * width // 4, 4 * channels)


@cache
def _loaded(pipeline: str, folder: Path, absent: tuple[str, ...]) -> Any:
    with former_pipelines(["unclip"]):
        loaded = getattr(diffusers, pipeline).from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, **dict.fromkeys(absent)
        )
    loaded.set_progress_bar_config(disable=True)
    return loaded


CASES = (
    Case("sd15", save_tiny_stable_diffusion, "StableDiffusionPipeline", stable_diffusion, 7.5),
    Case("sdxl", save_tiny_stable_diffusion_xl, "StableDiffusionXLPipeline", stable_diffusion_xl, 5.0),
    Case("sd3", save_tiny_stable_diffusion_3, "StableDiffusion3Pipeline", stable_diffusion_3, 7.0),
    Case(
        "sd3-without-t5",
        partial(save_tiny_stable_diffusion_3, with_t5=False, dynamic=True),
        "StableDiffusion3Pipeline",
        stable_diffusion_3,
        7.0,
        set_timesteps=partial(shifted_by_size, from_sigmas=False, largest=1.15),
        absent=("text_encoder_3", "tokenizer_3"),
    ),
    Case(
        "flux-dev",
        save_tiny_flux,
        "FluxPipeline",
        flux,
        3.5,
        call={"max_sequence_length": 512},
        packed=True,
        set_timesteps=partial(shifted_by_size, from_sigmas=True, largest=1.15),
        negative=False,
    ),
    Case(
        "flux-schnell",
        partial(save_tiny_flux, guided=False),
        "FluxPipeline",
        flux,
        0.0,
        call={"max_sequence_length": 256},
        packed=True,
        set_timesteps=partial(shifted_by_size, from_sigmas=True, largest=1.15),
        negative=False,
    ),
    Case(
        "unclip",
        save_tiny_unclip,
        "UnCLIPPipeline",
        unclip,
        8.0,
        negative=False,
        scheduler="decoder_scheduler",
        latents=(1, 3, SIZE // 2, SIZE // 2),
        one_size=True,
        own=unclips_own,
        after=super_resolution_generator,
    ),
    Case(
        "stable-unclip",
        save_tiny_stable_unclip,
        "StableUnCLIPPipeline",
        stable_unclip,
        10.0,
        own=stable_unclips_own,
    ),
    Case(
        "flux2-dev",
        save_tiny_flux2,
        "Flux2Pipeline",
        flux2,
        4.0,
        latents=(1, 16, SIZE // 4, SIZE // 4),
        tells_patches=True,
        set_timesteps=shifted_by_size_and_steps,
        negative=False,
    ),
    Case(
        "flux2-klein",
        save_tiny_flux2_klein,
        "Flux2KleinPipeline",
        flux2_klein,
        4.0,
        latents=(1, 16, SIZE // 4, SIZE // 4),
        tells_patches=True,
        set_timesteps=shifted_by_size_and_steps,
        negative=False,
    ),
    Case(
        "qwen-image",
        save_tiny_qwen_image,
        "QwenImagePipeline",
        qwen_image,
        4.0,
        asked=asked_of_qwen_image,
        packed=True,
        set_timesteps=partial(shifted_by_size, from_sigmas=True, largest=1.15),
    ),
)
