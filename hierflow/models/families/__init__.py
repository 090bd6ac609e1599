"""The model families hierflow has an adapter for: one entry each here, and one small file beside this one.

Knows neither torch nor diffusers: a family's adapter is imported when a model of it is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hierflow.models.pipeline_adapter import PipelineAdapter


@dataclass(frozen=True)
class Family:
    """What is known of a family without loading a weight.

    Attributes:
        pipeline: its diffusers pipeline, as `model_index.json` names it.
        adapter: where its adapter is, as `module:Class` below this package.
        title: what people call it.
        denoiser: the components a denoising step goes through; the first is the network whose rows are counted.
        encoders: the components that make conditioning of a text, tokenizers included.
        decoders: the components that make an image of latents.
        guidance_scale: the guidance its own pipeline takes when nothing is said.
        scheduler: the component that holds the denoiser's scheduler.
        prior: the pipeline that the encoders come in, for families that keep them in a repository of their own.
        half: the precision it was made for on a GPU, "float16" or "bfloat16".
        arguments: what its pipeline is made with besides components, where its default depends on the machine.

    A component that a model leaves out (a null in its `model_index.json`) is none of it.
    """

    pipeline: str
    adapter: str
    title: str
    denoiser: tuple[str, ...]
    encoders: tuple[str, ...]
    decoders: tuple[str, ...]
    guidance_scale: float
    scheduler: str = "scheduler"
    prior: str | None = None
    half: str = "float16"
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def components(self) -> tuple[str, ...]:
        """Every component that is taken from the model's own repository."""
        encoders = () if self.prior else self.encoders
        return (*self.denoiser, self.scheduler, *encoders, *self.decoders)

    def adapter_class(self) -> type[PipelineAdapter]:
        """The adapter; importing it imports torch."""
        module, _, name = self.adapter.partition(":")
        found: Any = getattr(import_module(f"{__name__}.{module}"), name)
        return found  # type: ignore[no-any-return]


FAMILIES = {
    family.pipeline: family
    for family in (
        Family(
            pipeline="KandinskyV22Pipeline",
            adapter="kandinsky22:Kandinsky22",
            title="Kandinsky 2.2",
            denoiser=("unet",),
            encoders=("image_encoder", "prior", "scheduler", "text_encoder", "tokenizer"),
            decoders=("movq",),
            guidance_scale=4.0,
            prior="KandinskyV22PriorPipeline",
        ),
        Family(
            pipeline="StableDiffusionPipeline",
            adapter="stable_diffusion:StableDiffusion",
            title="Stable Diffusion 1 and 2",
            denoiser=("unet",),
            encoders=("text_encoder", "tokenizer"),
            decoders=("vae",),
            guidance_scale=7.5,
        ),
        Family(
            pipeline="StableDiffusionXLPipeline",
            adapter="stable_diffusion_xl:StableDiffusionXL",
            title="Stable Diffusion XL",
            denoiser=("unet",),
            encoders=("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2"),
            decoders=("vae",),
            guidance_scale=5.0,
            arguments={"add_watermarker": False},  # by default there is one if some library is installed
        ),
        Family(
            pipeline="StableDiffusion3Pipeline",
            adapter="stable_diffusion_3:StableDiffusion3",
            title="Stable Diffusion 3",
            denoiser=("transformer",),
            encoders=("text_encoder", "text_encoder_2", "text_encoder_3", "tokenizer", "tokenizer_2", "tokenizer_3"),
            decoders=("vae",),
            guidance_scale=7.0,
        ),
        Family(
            pipeline="FluxPipeline",
            adapter="flux:Flux",
            title="FLUX.1",
            denoiser=("transformer",),
            encoders=("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2"),
            decoders=("vae",),
            guidance_scale=3.5,
            half="bfloat16",
        ),
        Family(
            pipeline="UnCLIPPipeline",
            adapter="unclip:UnCLIP",
            title="unCLIP (Karlo)",
            denoiser=("decoder", "text_proj"),
            encoders=("prior", "text_encoder", "tokenizer", "prior_scheduler"),
            decoders=("super_res_first", "super_res_last", "super_res_scheduler"),
            guidance_scale=8.0,
            scheduler="decoder_scheduler",
        ),
        Family(
            pipeline="StableUnCLIPPipeline",
            adapter="stable_unclip:StableUnCLIP",
            title="Stable unCLIP",
            denoiser=("unet",),
            encoders=(
                "prior",
                "prior_text_encoder",
                "prior_tokenizer",
                "prior_scheduler",
                "image_normalizer",
                "image_noising_scheduler",
                "text_encoder",
                "tokenizer",
            ),
            decoders=("vae",),
            guidance_scale=10.0,
        ),
        Family(
            pipeline="Flux2Pipeline",
            adapter="flux2:Flux2Dev",
            title="FLUX.2 dev",
            denoiser=("transformer",),
            encoders=("text_encoder", "tokenizer"),
            decoders=("vae",),
            guidance_scale=4.0,
            half="bfloat16",
        ),
        Family(
            pipeline="Flux2KleinPipeline",
            adapter="flux2:Flux2Klein",
            title="FLUX.2 klein",
            denoiser=("transformer",),
            encoders=("text_encoder", "tokenizer"),
            decoders=("vae",),
            guidance_scale=4.0,
            half="bfloat16",
        ),
        Family(
            pipeline="QwenImagePipeline",
            adapter="qwen_image:QwenImage",
            title="Qwen-Image",
            denoiser=("transformer",),
            encoders=("text_encoder", "tokenizer"),
            decoders=("vae",),
            guidance_scale=4.0,
            half="bfloat16",
        ),
    )
}
"""The families by the pipeline that a model's `model_index.json` names."""
