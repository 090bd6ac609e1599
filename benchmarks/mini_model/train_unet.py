"""Train the decoder's UNet, which draws latents from an embedding.

    python -m benchmarks.mini_model.train_unet --work DIR [--start MODEL/decoder]
    torchrun --nproc-per-node 2 -m benchmarks.mini_model.train_unet --work DIR

Needs the encoded pictures and prompts. The condition is the picture's own embedding in three cases of ten, what the
prior makes of its prompt in six, and none in one, for guidance: a decoder that has seen the prior's embeddings draws
them better than one that knows real pictures' alone.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from numpy.typing import NDArray
from torch import Tensor
from transformers import CLIPVisionModelWithProjection

from benchmarks.mini_model.encode import UNMENTIONED, read_prompt_embeddings
from benchmarks.mini_model.loop import Trainer, join_workers
from benchmarks.mini_model.models import (
    LATENT_CHANNELS,
    TRAINING_STEPS,
    build_decoder_scheduler,
    build_unet,
    use_plain_attention,
    zero_image_embedding,
)
from benchmarks.mini_model.recipe import Run, parse_run

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
        self.own = torch.from_numpy(np.load(run.work.file("image_embeddings.npy")))
        self.prompts = read_prompt_embeddings(run.work)
        self.attributes = attributes

    def draw(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
        """Return one embedding a picture, (N, 128)."""
        keys = self.attributes[rows].copy()
        hidden = rng.random((len(rows), keys.shape[1] - 1)) >= MENTION_CHANCE
        hidden &= rng.random((len(rows), 1)) >= FULL_PROMPT_CHANCE
        keys[:, 1:][hidden] = UNMENTIONED
        case = torch.from_numpy(rng.random((len(rows), 1)))
        told_or_own = torch.where(
            case < NO_CONDITION_CHANCE + OWN_EMBEDDING_CHANCE,
            self.own[torch.from_numpy(rows)],
            self.prompts.find(keys),
        )
        return torch.where(case < NO_CONDITION_CHANCE, self.nothing, told_or_own)


class NoiseLoss:
    """The squared error of the predicted noise, weighted so that easy timesteps count less (min-SNR 5)."""

    def __init__(self, run: Run, unet: UNet2DConditionModel) -> None:
        """Open the latents."""
        self.unet, self.batch = unet, run.batch
        self.latents = np.load(run.work.file("latents.npy"), mmap_mode="r")
        self.conditions = Conditions(run, run.work.pictures().attributes)
        self.signal = build_decoder_scheduler().alphas_cumprod
        ratio = self.signal / (1 - self.signal)
        self.weights = ratio.clamp(max=LARGEST_SIGNAL_TO_NOISE) / ratio

    def __call__(self, rng: np.random.Generator) -> Tensor:
        """Return the loss of a fresh batch, whose timesteps are spread evenly."""
        rows = np.sort(rng.integers(0, len(self.latents), self.batch))
        latents = torch.from_numpy(self.latents[rows]).float()
        noise = torch.randn_like(latents)
        timesteps = ((torch.randperm(self.batch) + torch.rand(self.batch)) / self.batch * TRAINING_STEPS).long()
        timesteps = timesteps.clamp(max=TRAINING_STEPS - 1)
        signal = self.signal[timesteps][:, None, None, None]
        predicted = self.unet(
            signal.sqrt() * latents + (1 - signal).sqrt() * noise,
            timesteps,
            encoder_hidden_states=None,
            added_cond_kwargs={"image_embeds": self.conditions.draw(rows, rng)},
        ).sample[:, :LATENT_CHANNELS]
        errors = ((predicted - noise) ** 2).mean(dim=(1, 2, 3))
        loss: Tensor = (errors * self.weights[timesteps]).mean()
        return loss


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    run = parse_run(__doc__, arguments, steps=5000, batch=32, rate=1e-3)
    workers = join_workers()
    torch.manual_seed(0)
    unet = (
        UNet2DConditionModel.from_pretrained(run.start / "unet", torch_dtype=torch.float32)
        if run.start
        else build_unet()
    )
    use_plain_attention(unet.train())
    settings = run.settings("unet", hold=0.5, ema_decay=0.997)
    Trainer(unet, settings, workers).run(NoiseLoss(run, unet))
    if workers.is_first:
        unet.save_pretrained(run.work.part("unet"))


if __name__ == "__main__":
    main()
