"""Train the autoencoder between pictures and latents.

    python -m benchmarks.mini_model.train_movq --work DIR [--start MODEL/decoder/movq]

The loss is L1 + 2 MSE + half the L1 of the picture's gradients, with a little noise on the latents; two penalties
keep the latents' channels at zero mean, unit variance and without correlation, as the UNet's noise schedule wants.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from diffusers import VQModel
from torch import Tensor

from benchmarks.mini_model.data import PictureSet
from benchmarks.mini_model.loop import Trainer, join_workers
from benchmarks.mini_model.models import build_movq, use_plain_attention
from benchmarks.mini_model.recipe import parse_run

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
    images = pictures.sample(batch, rng)[0]
    latents = movq.encode(images).latents
    noisy = latents + torch.randn_like(latents) * LATENT_NOISE
    rebuilt = movq.decode(noisy, force_not_quantize=True).sample
    error = images - rebuilt
    likeness = error.abs().mean() + 2 * (error**2).mean() + 0.5 * gradient_difference(images, rebuilt)
    loss: Tensor = likeness + LATENT_WEIGHT * latent_penalty(latents)
    return loss


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    run = parse_run(__doc__, arguments, steps=5500, batch=16, rate=8e-4)
    workers = join_workers()
    torch.manual_seed(0)
    movq = VQModel.from_pretrained(run.start, torch_dtype=torch.float32) if run.start else build_movq()
    movq.quantize.requires_grad_(False)  # latents pass it by
    use_plain_attention(movq.train())
    pictures = run.work.pictures()
    settings = run.settings("movq", weight_decay=1e-4, ema_decay=0.995)
    Trainer(movq, settings, workers).run(lambda rng: movq_loss(movq, pictures, run.batch, rng))
    if workers.is_first:
        movq.save_pretrained(run.work.part("movq"))


if __name__ == "__main__":
    main()
