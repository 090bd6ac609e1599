"""Train the autoencoder between pictures and latents.

The loss is L1 + 2 MSE + half the L1 of the picture's gradients, with a little noise on the latents; two penalties
keep the latents' channels at zero mean, unit variance and without correlation, as the UNet's noise schedule wants.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from diffusers import VQModel
from torch import Tensor

from hierflow.mini.training.loop import Trainer
from hierflow.mini.training.networks import build_movq, use_plain_attention
from hierflow.mini.training.pictures import PictureSet
from hierflow.mini.training.work import Run

STEPS: Final = 5500
BATCH: Final = 16
RATE: Final = 8e-4
LATENT_NOISE: Final = 0.05
LATENT_WEIGHT: Final = 0.02


def gradient_difference(first: Tensor, second: Tensor) -> Tensor:
    """Return the mean absolute difference of neighbouring pixels' differences: it keeps edges sharp."""
    difference = first - second
    return difference.diff(dim=2).abs().mean() + difference.diff(dim=3).abs().mean()


def latent_penalty(latents: Tensor) -> Tensor:
    """Return how far the channels are from zero mean, unit variance and no correlation."""
    mean = latents.mean(dim=(0, 2, 3))
    channels = (latents - mean[None, :, None, None]).transpose(0, 1).flatten(1)
    covariance = channels @ channels.T / channels.shape[1]
    variance = covariance.diagonal()
    shared = covariance - torch.diag(variance)
    return (mean**2).mean() + ((variance - 1) ** 2).mean() + (shared**2).mean()


def movq_loss(movq: VQModel, pictures: PictureSet, batch: int, rng: np.random.Generator) -> Tensor:
    """Return the reconstruction loss of a fresh batch."""
    images = pictures.sample(batch, rng)[0].to(movq.device)
    latents = movq.encode(images).latents
    noisy = latents + torch.randn_like(latents) * LATENT_NOISE
    rebuilt = movq.decode(noisy, force_not_quantize=True).sample
    error = images - rebuilt
    likeness = error.abs().mean() + 2 * (error**2).mean() + 0.5 * gradient_difference(images, rebuilt)
    loss: Tensor = likeness + LATENT_WEIGHT * latent_penalty(latents)
    return loss


def train(run: Run) -> None:
    """Write `movq/`."""
    torch.manual_seed(0)
    start = run.start / "decoder" / "movq" if run.start else None
    movq = VQModel.from_pretrained(start, torch_dtype=torch.float32) if start else build_movq()
    movq.quantize.requires_grad_(False)  # latents pass it by
    use_plain_attention(movq.train())
    pictures, batch = run.work.pictures(), run.workers.share(BATCH)
    settings = run.settings("movq", steps=STEPS, rate=RATE, weight_decay=1e-4, ema_decay=0.995)
    Trainer(movq, settings, run.workers).run(lambda rng: movq_loss(movq, pictures, batch, rng))
    if run.workers.is_first:
        movq.save_pretrained(run.work.part("movq"))
