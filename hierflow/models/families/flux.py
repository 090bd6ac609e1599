"""FLUX.1: CLIP and T5 text encoders, and a transformer on packed latents that takes its guidance as an input."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hierflow.conditioning import Conditioning
from hierflow.models.families.packed import PackedLatents
from hierflow.models.loaded import LoadedModel
from hierflow.models.runtime import Runtime
from hierflow.models.source import ModelSource
from hierflow.spec import DiffusionSpec

if TYPE_CHECKING:
    import torch

_READS, _SCHNELL_READS = 512, 256


class Flux(PackedLatents):
    """`FluxPipeline`, dev and schnell. The tree clusters by CLIP's pooled text embedding."""

    names = ("prompt_embeds", "pooled_prompt_embeds")
    takes_negative = False
    reader = "tokenizer_2"
    rows_per_evaluation = 1

    def __init__(
        self, source: ModelSource, spec: DiffusionSpec, runtime: Runtime, loaded: LoadedModel | None = None
    ) -> None:
        super().__init__(source, spec, runtime, loaded)
        if not self._is_guided:
            self.forgo_guidance()

    @property
    def reads(self) -> int:
        """The length every prompt is padded to; padding counts, since nothing masks it."""
        return _READS if self._is_guided else _SCHNELL_READS

    def encoder_settings(self) -> list[Any]:
        """The length every prompt is padded to."""
        return [self.reads]

    def encoded(self, texts: list[str], text_hashes: Sequence[str]) -> dict[str, torch.Tensor]:
        """`prompt_embeds` (B, L, D) of T5 and `pooled_prompt_embeds` (B, P) of CLIP."""
        made = self.loaded.encoder.encode_prompt(texts, device=self.device, max_sequence_length=self.reads)
        return {"prompt_embeds": made[0], "pooled_prompt_embeds": made[1]}

    def tree_embeddings(self, conditioning: Conditioning) -> npt.NDArray[np.float64]:
        """The pooled text embeddings."""
        return conditioning["pooled_prompt_embeds"].astype(np.float64)

    @cached_property
    def _is_guided(self) -> bool:
        return bool(self.config("transformer").get("guidance_embeds"))
