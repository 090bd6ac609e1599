"""unCLIP (Karlo): a prior, a decoder in pixels of a small image, and two networks that make that one larger."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hierflow.conditioning import Conditioning
from hierflow.errors import InputError
from hierflow.hashing import digest, seed_from
from hierflow.models.adapter import Tensors
from hierflow.models.families.unclip_prior import check_prior_steps, image_embeddings, prior_generator
from hierflow.models.loaded import LoadedModel
from hierflow.models.pipeline_adapter import PipelineAdapter
from hierflow.models.runtime import Runtime
from hierflow.models.sampler import Sampler
from hierflow.models.source import ModelSource
from hierflow.spec import DiffusionSpec

if TYPE_CHECKING:
    import torch

_SUPER_RESOLUTION_STEPS = 7  # the pipeline's usual number
_TEXT = ("text_embeds", "text_hidden", "text_mask")


class UnCLIP(PipelineAdapter):
    """`UnCLIPPipeline`. The tree clusters by the prior's image embeddings.

    Its pipeline does everything in one call, prior included, and takes no conditioning; so its three loops are
    written out here. An evaluation is a step of the decoder. Super resolution is part of decoding, a fixed number of
    steps that are no evaluations, and its noise is the same for all images: so neither seed, order, batch nor
    partition changes what the same latents become.
    """

    names = ("image_embeds", *_TEXT, *(f"negative_{name}" for name in _TEXT))
    takes_negative = False
    text_parts = ("text_encoder", "tokenizer")

    def __init__(
        self, source: ModelSource, spec: DiffusionSpec, runtime: Runtime, loaded: LoadedModel | None = None
    ) -> None:
        check_prior_steps(spec)
        if spec.steps < 2:
            raise InputError(
                "is too few steps for this model's scheduler",
                field="diffusion.steps",
                value=spec.steps,
                remedy="take at least 2",
            )
        super().__init__(source, spec, runtime, loaded)
        self.prior_evaluations_per_prompt = spec.prior_steps

    @property
    def size_multiple(self) -> int:
        """The one size there is."""
        return self.usual_size[0]

    @property
    def usual_size(self) -> tuple[int, int]:
        """What super resolution makes of every image."""
        side = int(self.config("super_res_first")["sample_size"])
        return side, side

    @property
    def largest_side(self) -> int:
        """The one size there is."""
        return self.usual_size[0]

    @cached_property
    def rows_per_evaluation(self) -> int:
        """2 where either of prior and decoder is guided: the pipeline then guides both."""
        return 2 if self._is_guided else 1

    @cached_property
    def decoder_fingerprint(self) -> str:
        """Identity of the super resolution."""
        return digest("hierflow super resolution 1", super().decoder_fingerprint, _SUPER_RESOLUTION_STEPS)

    def encoder_settings(self) -> list[Any]:
        """The prior's steps, guidance and seed."""
        spec = self.spec
        return [spec.prior_steps, spec.prior_guidance_scale, spec.prior_seed, self._is_guided]

    def encoded(self, texts: list[str], text_hashes: Sequence[str]) -> dict[str, torch.Tensor]:
        """`image_embeds` (B, D); embedding (B, D), hidden states (B, L, D) and mask (B, L) of text and empty text."""
        pipeline = self.loaded.encoder
        both = pipeline._encode_prompt(texts, self.device, 1, True)
        count, generators = len(texts), [prior_generator(self.spec, key) for key in text_hashes]
        given = both if self._is_guided else tuple(part[count:] for part in both)
        embeds = image_embeddings(pipeline, self.spec, given, generators, guided=self._is_guided, looks_ahead=True)
        positive = {name: part[count:] for name, part in zip(_TEXT, both, strict=True)}
        negative = {f"negative_{name}": part[:count] for name, part in zip(_TEXT, both, strict=True)}
        return {"image_embeds": embeds, **positive, **negative}

    def tree_embeddings(self, conditioning: Conditioning) -> npt.NDArray[np.float64]:
        """The image embeddings."""
        return conditioning["image_embeds"].astype(np.float64)

    def text_embedded(self, texts: list[str]) -> torch.Tensor:
        """CLIP's text embeddings, which the prior goes on from."""
        made: torch.Tensor = self.loaded.encoder._encode_prompt(texts, self.device, 1, False)[0]
        return made

    def initial_latents(self, generators: Sequence[torch.Generator]) -> torch.Tensor:
        """Scaled initial noise, (B, 3, h, w)."""
        from diffusers.utils.torch_utils import randn_tensor

        config = self.config("decoder")
        shape = (len(generators), config["in_channels"], config["sample_size"], config["sample_size"])
        noise = randn_tensor(shape, list(generators), device=self.device, dtype=self.runtime.torch_dtype)
        scaled: torch.Tensor = noise * float(self.sampler.scheduler.init_noise_sigma)
        return scaled

    def predict(self, latents: torch.Tensor, index: int, conditioning: Tensors) -> torch.Tensor:
        """The guided noise prediction, with the variance channels where the scheduler wants them.

        The hidden states of a mean are attended to wherever one of its prompts has a token.
        """
        import torch
        from torch.nn import functional

        self._place_denoiser()
        pipeline, scheduler, guided = self.loaded.denoiser, self.sampler.scheduler, self._is_guided
        t = scheduler.timesteps[index]

        def rows(name: str) -> torch.Tensor:
            positive = conditioning[name]
            return torch.cat([conditioning[f"negative_{name}"], positive]) if guided else positive

        with torch.no_grad():
            hidden, added = pipeline.text_proj(
                image_embeddings=conditioning["image_embeds"],
                prompt_embeds=rows("text_embeds"),
                text_encoder_hidden_states=rows("text_hidden"),
                do_classifier_free_guidance=guided,
            )
            extra = pipeline.text_proj.clip_extra_context_tokens
            output = pipeline.decoder(
                sample=scheduler.scale_model_input(torch.cat([latents, latents]) if guided else latents, t),
                timestep=t,
                encoder_hidden_states=hidden,
                class_labels=added,
                attention_mask=functional.pad(rows("text_mask") > 0, (extra, 0), value=True),
            ).sample
        noise, variance = output.split(latents.shape[1], dim=1)
        if guided:
            without, with_text = noise.chunk(2)
            noise = without + self.guidance_scale * (with_text - without)
            variance = variance.chunk(2)[1]
        learned = scheduler.config.get("variance_type") in ("learned", "learned_range")
        return torch.cat([noise, variance], dim=1) if learned else noise

    def pixels(self, latents: torch.Tensor) -> npt.NDArray[np.float32]:
        """(B, H, W, 3) in [0, 1]: the small images made larger by the super resolution's own sampler."""
        import torch
        from diffusers.utils.torch_utils import randn_tensor
        from torch.nn import functional

        pipeline, count = self.loaded.denoiser, len(latents)
        pipeline.super_res_scheduler.set_timesteps(_SUPER_RESOLUTION_STEPS, device=self.device)
        sampler = Sampler(pipeline.super_res_scheduler, (1,) * _SUPER_RESOLUTION_STEPS)
        generators = [super_resolution_generator() for _ in range(count)]
        small, size = latents.clamp(-1, 1), (self.height, self.width)
        large = functional.interpolate(small, size=size, mode="bicubic", align_corners=False, antialias=True)
        noise = randn_tensor(large.shape, generators, device=self.device, dtype=large.dtype)
        made, timesteps = noise * sampler.scheduler.init_noise_sigma, sampler.scheduler.timesteps
        with torch.no_grad():
            for index, t in enumerate(timesteps):
                is_last = index == len(timesteps) - 1
                unet = pipeline.super_res_last if is_last else pipeline.super_res_first
                output = unet(sample=torch.cat([made, large], dim=1), timestep=t).sample
                made = sampler.step(output, index, made, generators)
        shown: npt.NDArray[np.float32] = (made * 0.5 + 0.5).clamp(0, 1).cpu().permute(0, 2, 3, 1).float().numpy()
        return shown

    @cached_property
    def _is_guided(self) -> bool:
        return self.guidance_scale > 1 or self.spec.prior_guidance_scale > 1


def super_resolution_generator() -> torch.Generator:
    """The noise of every image's super resolution, one draw after another."""
    import torch

    return torch.Generator().manual_seed(seed_from("hierflow super resolution noise 1"))
