"""Train the decoder's UNet, which draws latents from an embedding.

Needs the encoded pictures and prompts. The condition is the picture's own embedding in three cases of ten, what the
prior makes of its prompt in six, and none in one, for guidance: a decoder that has seen the prior's embeddings draws
them better than one that knows real pictures' alone. Where the prompt was not encoded, the picture's own embedding
stands in.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from numpy.typing import NDArray
from torch import Tensor
from transformers import CLIPVisionModelWithProjection

from hierflow.mini.training.encode import UNMENTIONED, image_embeddings, latents, read_prompt_embeddings
from hierflow.mini.training.loop import Trainer
from hierflow.mini.training.networks import (
    LATENT_CHANNELS,
    TRAINING_STEPS,
    build_decoder_scheduler,
    build_unet,
    use_plain_attention,
    zero_image_embedding,
)
from hierflow.mini.training.work import Run

STEPS: Final = 6000
BATCH: Final = 64
RATE: Final = 1e-3
NO_CONDITION_CHANCE: Final = 0.1
OWN_EMBEDDING_CHANCE: Final = 0.3
FULL_PROMPT_CHANCE: Final = 0.6
MENTION_CHANCE: Final = 0.6
LARGEST_SIGNAL_TO_NOISE: Final = 5.0


class Conditions:
    """Draws the embeddings that the UNet is conditioned on."""

    def __init__(self, run: Run, attributes: NDArray[np.int64]) -> None:
        """Open the encoded pictures and prompts."""
        encoder = CLIPVisionModelWithProjection.from_pretrained(run.work.part("image_encoder")).eval()
        self.nothing = zero_image_embedding(encoder)
        self.own = image_embeddings(run.work)
        self.prompts = read_prompt_embeddings(run.work)
        self.attributes = attributes

    def draw(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
        """Return one embedding a picture, (N, 128)."""
        keys = self.attributes[rows].copy()
        hidden = rng.random((len(rows), keys.shape[1] - 1)) >= MENTION_CHANCE
        hidden &= rng.random((len(rows), 1)) >= FULL_PROMPT_CHANCE
        keys[:, 1:][hidden] = UNMENTIONED
        case = torch.from_numpy(rng.random((len(rows), 1)))
        told, known = self.prompts.find(keys)
        use_own = (case < NO_CONDITION_CHANCE + OWN_EMBEDDING_CHANCE) | ~known[:, None]
        told_or_own = torch.where(use_own, self.own[torch.from_numpy(rows)], told)
        return torch.where(case < NO_CONDITION_CHANCE, self.nothing, told_or_own)


class NoiseLoss:
    """The squared error of the predicted noise, weighted so that easy timesteps count less (min-SNR 5)."""

    def __init__(self, run: Run, unet: UNet2DConditionModel) -> None:
        """Open the latents."""
        self.unet, self.device, self.batch = unet, run.workers.device, run.workers.share(BATCH)
        self.latents = latents(run.work)
        self.conditions = Conditions(run, run.work.pictures().attributes)
        self.signal = build_decoder_scheduler().alphas_cumprod
        ratio = self.signal / (1 - self.signal)
        self.weights = ratio.clamp(max=LARGEST_SIGNAL_TO_NOISE) / ratio

    def __call__(self, rng: np.random.Generator) -> Tensor:
        """Return the loss of a fresh batch, whose timesteps are spread evenly."""
        rows = np.sort(rng.integers(0, len(self.latents), self.batch))
        clean = torch.from_numpy(self.latents[rows]).float().to(self.device)
        noise = torch.randn_like(clean)
        timesteps = ((torch.randperm(self.batch) + torch.rand(self.batch)) / self.batch * TRAINING_STEPS).long()
        timesteps = timesteps.clamp(max=TRAINING_STEPS - 1)
        signal = self.signal[timesteps][:, None, None, None].to(self.device)
        predicted = self.unet(
            signal.sqrt() * clean + (1 - signal).sqrt() * noise,
            timesteps.to(self.device),
            encoder_hidden_states=None,
            added_cond_kwargs={"image_embeds": self.conditions.draw(rows, rng).to(self.device)},
        ).sample[:, :LATENT_CHANNELS]
        errors = ((predicted - noise) ** 2).mean(dim=(1, 2, 3))
        loss: Tensor = (errors * self.weights[timesteps].to(self.device)).mean()
        return loss


def train(run: Run) -> None:
    """Write `unet/`."""
    torch.manual_seed(0)
    start = run.start / "decoder" / "unet" if run.start else None
    unet = UNet2DConditionModel.from_pretrained(start, torch_dtype=torch.float32) if start else build_unet()
    use_plain_attention(unet.train())
    settings = run.settings("unet", steps=STEPS, rate=RATE, hold=0.5, ema_decay=0.997)
    Trainer(unet, settings, run.workers).run(NoiseLoss(run, unet))
    if run.workers.is_first:
        unet.save_pretrained(run.work.part("unet"))
