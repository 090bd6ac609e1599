"""Stable Diffusion XL: two CLIP text encoders, and a UNet that is told the size of the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hierflow.conditioning import Conditioning
from hierflow.models.families.stable_diffusion import LatentDiffusion

if TYPE_CHECKING:
    import torch

_TIME_IDS = 6  # original size, crop and target size, two numbers each


class StableDiffusionXL(LatentDiffusion):
    """`StableDiffusionXLPipeline`. The tree clusters by the second encoder's pooled text embedding."""

    names = ("prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds", "negative_pooled_prompt_embeds")

    def encoder_settings(self) -> list[Any]:
        """Whether no negative prompt is zeros, or an empty text."""
        return [bool(self.source.repository.index.get("force_zeros_for_empty_prompt", True))]

    def encoded(self, texts: list[str], text_hashes: Sequence[str]) -> dict[str, torch.Tensor]:
        """Embeddings (B, L, D) and pooled ones (B, P), and those of the negative prompt."""
        made = self.loaded.encoder.encode_prompt(
            texts,
            device=self.device,
            do_classifier_free_guidance=True,
            negative_prompt=self.negatives(len(texts)),
        )
        return dict(zip(self.names, made, strict=True))

    def tree_embeddings(self, conditioning: Conditioning) -> npt.NDArray[np.float64]:
        """The pooled text embeddings."""
        return conditioning["pooled_prompt_embeds"].astype(np.float64)

    def nothing(self, rows: int) -> dict[str, torch.Tensor]:
        """Zeros; the pipeline checks how long pooled embeddings are."""
        unet = self.config("unet")
        pooled = unet["projection_class_embeddings_input_dim"] - _TIME_IDS * unet["addition_time_embed_dim"]
        return {name: self.zeros(rows, pooled) if "pooled" in name else self.zeros(rows, 1, 1) for name in self.names}
