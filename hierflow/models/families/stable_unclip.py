"""Stable unCLIP: Stable Diffusion 2 guided by a prior's image embedding besides the text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hierflow.conditioning import Conditioning
from hierflow.models.adapter import Tensors
from hierflow.models.families.stable_diffusion import LatentDiffusion
from hierflow.models.families.unclip_prior import check_prior_steps, image_embeddings, prior_generator
from hierflow.models.loaded import LoadedModel
from hierflow.models.runtime import Runtime
from hierflow.models.source import ModelSource
from hierflow.spec import DiffusionSpec

if TYPE_CHECKING:
    import torch

_NOISE_LEVEL = 0  # of the image embedding; the pipeline's usual one, which still draws noise


class StableUnCLIP(LatentDiffusion):
    """`StableUnCLIPPipeline`. The tree clusters by the prior's image embeddings.

    Its pipeline does everything in one call, prior included, and takes no image embedding; so its loops are written
    out here. A prompt has one stream of noise for its prior and for what is then added to the embedding.
    """

    names = ("prompt_embeds", "negative_prompt_embeds", "class_labels")
    reader = "prior_tokenizer"
    text_parts = ("prior_text_encoder", "prior_tokenizer")

    def __init__(
        self, source: ModelSource, spec: DiffusionSpec, runtime: Runtime, loaded: LoadedModel | None = None
    ) -> None:
        check_prior_steps(spec)
        super().__init__(source, spec, runtime, loaded)
        self.prior_evaluations_per_prompt = spec.prior_steps

    def encoder_settings(self) -> list[Any]:
        """The prior's steps, guidance and seed."""
        return [self.spec.prior_steps, self.spec.prior_guidance_scale, self.spec.prior_seed, _NOISE_LEVEL]

    def encoded(self, texts: list[str], text_hashes: Sequence[str]) -> dict[str, torch.Tensor]:
        """Embeddings (B, L, D) of text and negative prompt, `image_embeds` (B, E) and `class_labels` (B, 2E)."""
        pipeline, guided = self.loaded.encoder, self.spec.prior_guidance_scale > 1
        generators = [prior_generator(self.spec, key) for key in text_hashes]
        text = pipeline._encode_prior_prompt(texts, self.device, 1, guided)
        embeds = image_embeddings(pipeline, self.spec, text, generators, guided=guided, looks_ahead=False)
        labels = pipeline.noise_image_embeddings(embeds, _NOISE_LEVEL, generator=generators)
        positive, negative = pipeline.encode_prompt(
            texts, self.device, 1, True, negative_prompt=self.negatives(len(texts))
        )
        return {
            "prompt_embeds": positive,
            "negative_prompt_embeds": negative,
            "class_labels": labels,
            "image_embeds": embeds,
        }

    def tree_embeddings(self, conditioning: Conditioning) -> npt.NDArray[np.float64]:
        """The image embeddings, before noise."""
        return conditioning["image_embeds"].astype(np.float64)

    def text_embedded(self, texts: list[str]) -> torch.Tensor:
        """CLIP's text embeddings, which the prior goes on from."""
        made: torch.Tensor = self.loaded.encoder._encode_prior_prompt(texts, self.device, 1, False)[0]
        return made

    def initial_latents(self, generators: Sequence[torch.Generator]) -> torch.Tensor:
        """Scaled initial noise, (B, C, h, w)."""
        from diffusers.utils.torch_utils import randn_tensor

        factor = self.loaded.denoiser.vae_scale_factor
        shape = (len(generators), self.config("unet")["in_channels"], self.height // factor, self.width // factor)
        noise = randn_tensor(shape, list(generators), device=self.device, dtype=self.runtime.torch_dtype)
        scaled: torch.Tensor = noise * float(self.sampler.scheduler.init_noise_sigma)
        return scaled

    def predict(self, latents: torch.Tensor, index: int, conditioning: Tensors) -> torch.Tensor:
        """The guided model output of evaluation number `index` (0-based), one row a node."""
        import torch

        self._place_denoiser()
        scheduler, guided = self.sampler.scheduler, self.guidance_scale > 1
        t, embeds, labels = scheduler.timesteps[index], conditioning["prompt_embeds"], conditioning["class_labels"]
        if guided:
            latents = torch.cat([latents, latents])
            embeds = torch.cat([conditioning["negative_prompt_embeds"], embeds])
            labels = torch.cat([torch.zeros_like(labels), labels])
        with torch.no_grad():
            scaled = scheduler.scale_model_input(latents, t)
            unet = self.loaded.denoiser.unet
            output: torch.Tensor = unet(scaled, t, encoder_hidden_states=embeds, class_labels=labels).sample
        if guided:
            without, with_text = output.chunk(2)
            output = without + self.guidance_scale * (with_text - without)
        return output

    def pixels(self, latents: torch.Tensor) -> npt.NDArray[np.float32]:
        """(B, H, W, 3) in [0, 1]."""
        import torch

        pipeline = self.loaded.denoiser
        with torch.no_grad():
            decoded = pipeline.vae.decode(latents / pipeline.vae.config.scaling_factor).sample
            shown: npt.NDArray[np.float32] = pipeline.image_processor.postprocess(decoded, output_type="np")
        return shown
