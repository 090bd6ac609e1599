"""Stable Diffusion 3: two CLIP text encoders, T5 if it is there, and a transformer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hierflow.conditioning import Conditioning
from hierflow.models.pipeline_adapter import PipelineAdapter

if TYPE_CHECKING:
    import torch

_READS = 256


class StableDiffusion3(PipelineAdapter):
    """`StableDiffusion3Pipeline`, with or without T5. The tree clusters by the CLIPs' pooled text embeddings."""

    names = ("prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds", "negative_pooled_prompt_embeds")
    pipeline_sets_schedule = True

    @property
    def size_multiple(self) -> int:
        """What a patch of latents stands for."""
        return self._factor * int(self.config("transformer")["patch_size"])

    @property
    def usual_size(self) -> tuple[int, int]:
        """What the transformer was trained on."""
        side = int(self.config("transformer")["sample_size"]) * self._factor
        return side, side

    @property
    def largest_side(self) -> int:
        """The transformer knows no position beyond."""
        return int(self.config("transformer")["pos_embed_max_size"]) * self.size_multiple

    @property
    def reader(self) -> str:  # type: ignore[override]
        """T5's tokenizer where there is one, else the first CLIP's."""
        return "tokenizer_3" if self._has_t5 else "tokenizer"

    @property
    def reads(self) -> int | None:
        """The length T5 pads every prompt to; padding counts, since nothing masks it."""
        return _READS if self._has_t5 else None

    def encoder_settings(self) -> list[Any]:
        """The length every prompt is padded to."""
        return [_READS]

    def encoded(self, texts: list[str], text_hashes: Sequence[str]) -> dict[str, torch.Tensor]:
        """Embeddings (B, L, D) and pooled ones (B, P), and those of the negative prompt."""
        pipeline, negative = self.loaded.encoder, self.spec.negative_prompt
        if not self._has_t5:  # the pipeline looks at the transformer for how much to leave empty
            pipeline.transformer = self.loaded.outline.transformer
        made = pipeline.encode_prompt(
            texts,
            None,
            None,
            device=self.device,
            do_classifier_free_guidance=True,
            negative_prompt=None if negative is None else [negative] * len(texts),
            max_sequence_length=_READS,
        )
        return dict(zip(self.names, made, strict=True))

    def tree_embeddings(self, conditioning: Conditioning) -> npt.NDArray[np.float64]:
        """The pooled text embeddings."""
        return conditioning["pooled_prompt_embeds"].astype(np.float64)

    @cached_property
    def _has_t5(self) -> bool:
        return "text_encoder_3" in self.source.repository.classes

    @cached_property
    def _factor(self) -> int:
        return int(2 ** (len(self.config("vae")["block_out_channels"]) - 1))
