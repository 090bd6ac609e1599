"""The Kandinsky 2.2 family: a text-to-image-embedding prior, and a decoder conditioned on that embedding."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hierflow.conditioning import Conditioning
from hierflow.hashing import digest, text_hash
from hierflow.models.adapter import Tensors
from hierflow.models.clip_parts import ClipParts
from hierflow.models.families.unclip_prior import check_prior_steps, prior_generator
from hierflow.models.loaded import LoadedModel
from hierflow.models.pipeline_adapter import PipelineAdapter
from hierflow.models.repository import Repository
from hierflow.models.runtime import Runtime
from hierflow.models.source import ModelSource
from hierflow.spec import DiffusionSpec

if TYPE_CHECKING:
    import torch

_DEFAULT_SIZE = 512
_CLIP = ("image_encoder", "image_processor", "text_encoder", "tokenizer")


class Kandinsky22(PipelineAdapter):
    """`KandinskyV22PriorPipeline` and `KandinskyV22Pipeline`.

    The prior is itself a sampler: every prompt has a generator of its own, keyed by its text. The tree clusters by
    the image embeddings, as the paper does.
    """

    names = ("image_embeds", "negative_image_embeds")
    text_parts = ("text_encoder", "tokenizer")

    def __init__(
        self, source: ModelSource, spec: DiffusionSpec, runtime: Runtime, loaded: LoadedModel | None = None
    ) -> None:
        check_prior_steps(spec)
        super().__init__(source, spec, runtime, loaded)
        self.prior_evaluations_per_prompt = spec.prior_steps

    @property
    def size_multiple(self) -> int:
        """The pipeline rounds to the decoder's factor, squared."""
        return self._factor**2

    @property
    def usual_size(self) -> tuple[int, int]:
        """What the UNet was trained on."""
        size = self.config("unet").get("sample_size")
        side = int(size) * self._factor if size else _DEFAULT_SIZE
        return side, side

    def encoder_settings(self) -> list[Any]:
        """The prior's steps, guidance and seed."""
        return [self.spec.prior_steps, self.spec.prior_guidance_scale, self.spec.prior_seed]

    def encoded(self, texts: list[str], text_hashes: Sequence[str]) -> dict[str, torch.Tensor]:
        """`image_embeds` and `negative_image_embeds`, both (B, D)."""
        negative, keys = self.spec.negative_prompt, list(text_hashes)
        if negative is not None:  # the pipeline samples its embeddings beside the others
            keys += [text_hash(negative)] * len(texts)
        output = self.loaded.encoder(
            texts,
            negative_prompt=None if negative is None else [negative] * len(texts),
            num_inference_steps=self.spec.prior_steps,
            guidance_scale=self.spec.prior_guidance_scale,
            generator=[prior_generator(self.spec, key) for key in keys],
        )
        return {"image_embeds": output.image_embeds, "negative_image_embeds": output.negative_image_embeds}

    def tree_embeddings(self, conditioning: Conditioning) -> npt.NDArray[np.float64]:
        """The image embeddings."""
        return conditioning["image_embeds"].astype(np.float64)

    def text_embedded(self, texts: list[str]) -> torch.Tensor:
        """CLIP's text embeddings, which the prior goes on from."""
        made: torch.Tensor = self.loaded.encoder._encode_prompt(texts, self.device, 1, False)[0]
        return made

    def predict(self, latents: torch.Tensor, index: int, conditioning: Tensors) -> torch.Tensor:
        """The guided noise prediction, with the variance channels where the scheduler wants them.

        The pipeline was written for DDPM and never scales its input, so samplers that need it (Euler) have
        it done here.
        """
        scheduler = self.sampler.scheduler
        scaled = scheduler.scale_model_input(latents, scheduler.timesteps[index])
        return super().predict(scaled, index, conditioning)

    def warnings(self, texts: Sequence[str]) -> list[str]:
        """Words the embedded model has never seen, and prompts that are longer than the text encoder reads."""
        from hierflow.models.vocabulary import mini_warnings

        return mini_warnings(texts) if self.source.is_mini else super().warnings(texts)

    def clip(self) -> ClipParts:
        """The prior's own text and image encoders."""
        prior = self.loaded.encoder
        return ClipParts(prior.text_encoder, prior.tokenizer, prior.image_encoder, prior.image_processor)

    @cached_property
    def clip_fingerprint(self) -> str:  # type: ignore[override]
        """Identity of these encoders."""
        return digest("hierflow clip similarity 1", self._prior.fingerprint(*_CLIP), self.runtime.dtype)

    @property
    def _prior(self) -> Repository:
        assert self.source.prior is not None, "locate finds no Kandinsky without its prior"
        return self.source.prior

    @cached_property
    def _factor(self) -> int:
        """How many pixels a latent stands for, along a side."""
        return int(2 ** (len(self.config("movq")["block_out_channels"]) - 1))
