"""Stable Diffusion 1 and 2: one CLIP text encoder, a UNet, a VAE."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hierflow.conditioning import Conditioning
from hierflow.models.pipeline_adapter import PipelineAdapter

if TYPE_CHECKING:
    import torch


class LatentDiffusion(PipelineAdapter):
    """What Stable Diffusion's UNets have in common: sizes, and guidance that is embedded where it was distilled."""

    @property
    def size_multiple(self) -> int:
        """What the pipelines ask for."""
        return 8

    @property
    def usual_size(self) -> tuple[int, int]:
        """What the UNet was trained on."""
        size = self.config("unet")["sample_size"]
        height, width = size if isinstance(size, list) else (size, size)
        factor = 2 ** (len(self.config("vae")["block_out_channels"]) - 1)
        return int(height) * factor, int(width) * factor

    @cached_property
    def rows_per_evaluation(self) -> int:
        """1 where the UNet was distilled to take its guidance as an input, or there is none; else 2."""
        is_distilled = self.config("unet").get("time_cond_proj_dim") is not None
        return 2 if self.guidance_scale > 1 and not is_distilled else 1

    def negatives(self, count: int) -> list[str] | None:
        """The negative prompt of `count` texts, None for the pipeline's own."""
        return None if self.spec.negative_prompt is None else [self.spec.negative_prompt] * count


class StableDiffusion(LatentDiffusion):
    """`StableDiffusionPipeline`.

    The tree clusters by what CLIP itself compares: the last hidden state at the end of the text. A safety checker
    that the model comes with is left out, as it would blacken images without a word.
    """

    names = ("prompt_embeds", "negative_prompt_embeds")

    def encoded(self, texts: list[str], text_hashes: Sequence[str]) -> dict[str, torch.Tensor]:
        """`prompt_embeds` and `negative_prompt_embeds`, both (B, L, D), and `pooled` (B, D)."""
        import torch

        pipeline = self.loaded.encoder
        positive, negative = pipeline.encode_prompt(
            texts, self.device, 1, True, negative_prompt=self.negatives(len(texts))
        )
        length = pipeline.tokenizer.model_max_length
        tokens = pipeline.tokenizer(
            texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        )
        ends = tokens.attention_mask.sum(dim=1) - 1
        pooled = positive[torch.arange(len(texts)), ends]
        return {"prompt_embeds": positive, "negative_prompt_embeds": negative, "pooled": pooled}

    def tree_embeddings(self, conditioning: Conditioning) -> npt.NDArray[np.float64]:
        """The hidden states at the texts' ends."""
        return conditioning["pooled"].astype(np.float64)
