"""Qwen-Image: a language model as the text encoder, and a transformer that is shown the length of each text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hierflow.conditioning import Conditioning
from hierflow.models.adapter import Tensors
from hierflow.models.families.packed import PackedLatents

if TYPE_CHECKING:
    import torch

_READS = 512
_NOTHING = " "  # what the model is guided away from where no negative prompt is given


class QwenImage(PackedLatents):
    """`QwenImagePipeline`. The tree clusters by the mean of a text's embeddings.

    The pipeline leaves guidance off where it is given no negative prompt; here a blank stands for it, as the model's
    makers have it, so that `guidance_scale` (the pipeline's `true_cfg_scale`) means what it does elsewhere.

    Every text is encoded alone and then padded to one length, so that a prompt has the same conditioning whoever
    stands beside it. The mean of several prompts is attended to as far as the longest of them goes.
    """

    names = (
        "prompt_embeds",
        "prompt_embeds_mask",
        "negative_prompt_embeds",
        "negative_prompt_embeds_mask",
    )
    reads = _READS

    @property
    def call(self) -> dict[str, Any]:
        """The pipeline keeps `guidance_scale` for transformers that take it as an input."""
        usual = super().call
        return {**usual, "guidance_scale": None, "true_cfg_scale": self.guidance_scale, "max_sequence_length": _READS}

    def encoder_settings(self) -> list[Any]:
        """The length every prompt is padded to."""
        return [_READS, _NOTHING]

    def encoded(self, texts: list[str], text_hashes: Sequence[str]) -> dict[str, torch.Tensor]:
        """Embeddings (B, L, D) and mask (B, L), and those of the negative prompt."""
        import torch

        negative = _NOTHING if self.spec.negative_prompt is None else self.spec.negative_prompt
        made = {text: self._encoded_alone(text) for text in dict.fromkeys([*texts, negative])}
        embeds, masks = (torch.stack([made[text][part] for text in texts]) for part in range(2))
        away, away_mask = (part.expand(len(texts), *part.shape) for part in made[negative])
        return dict(zip(self.names, (embeds, masks, away, away_mask), strict=True))

    def tree_embeddings(self, conditioning: Conditioning) -> npt.NDArray[np.float64]:
        """The mean over a text's own positions."""
        embeds, mask = conditioning["prompt_embeds"], conditioning["prompt_embeds_mask"]
        total = np.einsum("nld,nl->nd", embeds, mask, dtype=np.float64)
        found: npt.NDArray[np.float64] = total / mask.sum(axis=1, keepdims=True, dtype=np.float64)
        return found

    def nothing(self, rows: int) -> dict[str, torch.Tensor]:
        """Zeros; a mask has no width."""
        every = {name: self.zeros(rows, 1) if "mask" in name else self.zeros(rows, 1, 1) for name in self.names}
        return self._taken(every)

    def predict(self, latents: torch.Tensor, index: int, conditioning: Tensors) -> torch.Tensor:
        """The guided model output of evaluation number `index` (0-based), one row a node."""
        self._place_denoiser()
        given = {name: conditioning[name] for name in self.names}
        whole = {name: (mean > 0).long() if "mask" in name else mean for name, mean in given.items()}
        output: torch.Tensor = self.tapped.predict(index, **self.call, latents=latents, **self._taken(whole))
        return output

    def _taken(self, given: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Without guidance the pipeline wants no negative prompt."""
        if self.guidance_scale > 1:
            return given
        return {name: tensor for name, tensor in given.items() if not name.startswith("negative_")}

    def _encoded_alone(self, text: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings (L, D) and mask (L,) of one text."""
        from torch.nn import functional

        embeds, _ = self.loaded.encoder.encode_prompt([text], self.device, max_sequence_length=_READS)
        missing = _READS - embeds.shape[1]
        mask = embeds.new_ones(embeds.shape[1])
        return functional.pad(embeds[0], (0, 0, 0, missing)), functional.pad(mask, (0, missing))

    @cached_property
    def vae_factor(self) -> int:
        """Pixels a latent, along a side."""
        return int(2 ** len(self.config("vae")["temperal_downsample"]))
