"""Standard sampling of a mini model with the stock diffusers pipelines: the reference that the figures speak of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from diffusers import KandinskyV22Pipeline, KandinskyV22PriorPipeline, VQModel
from numpy.typing import NDArray

from hierflow.mini.catalogue.backgrounds import PICTURE_SIZE
from hierflow.mini.pixels import to_bytes, to_signed_floats

PRIOR_STEPS: Final = 25
DECODER_STEPS: Final = 40
GUIDANCE: Final = 4.0
BATCH_SIZE: Final = 50


@dataclass(frozen=True)
class MiniModel:
    """The two pipelines of a model folder, in float32."""

    prior: KandinskyV22PriorPipeline
    decoder: KandinskyV22Pipeline


def load_model(folder: Path) -> MiniModel:
    """Load `folder/prior` and `folder/decoder`."""
    prior = KandinskyV22PriorPipeline.from_pretrained(folder / "prior", torch_dtype=torch.float32)
    decoder = KandinskyV22Pipeline.from_pretrained(folder / "decoder", torch_dtype=torch.float32)
    for pipeline in (prior, decoder):
        pipeline.set_progress_bar_config(disable=True)
    return MiniModel(prior, decoder)


def generate(
    model: MiniModel, prompts: Sequence[str], seed: int = 0, prior_seed: int | None = None
) -> NDArray[np.uint8]:
    """Draw one picture a prompt, (N, 64, 64, 3); the seed fixes them all.

    With a `prior_seed` the prior has noise of its own, and `seed` is the decoder's alone.
    """
    return np.concatenate(list(_generate_batches(model, prompts, seed, prior_seed)))


def _generate_batches(
    model: MiniModel, prompts: Sequence[str], seed: int, prior_seed: int | None
) -> Iterator[NDArray[np.uint8]]:
    generator = torch.Generator().manual_seed(seed)
    prior_generator = generator if prior_seed is None else torch.Generator().manual_seed(prior_seed)
    for start in range(0, len(prompts), BATCH_SIZE):
        embeddings = model.prior(
            list(prompts[start : start + BATCH_SIZE]),
            num_inference_steps=PRIOR_STEPS,
            guidance_scale=GUIDANCE,
            generator=prior_generator,
        )
        pictures = model.decoder(
            image_embeds=embeddings.image_embeds,
            negative_image_embeds=embeddings.negative_image_embeds,
            height=PICTURE_SIZE,
            width=PICTURE_SIZE,
            num_inference_steps=DECODER_STEPS,
            guidance_scale=GUIDANCE,
            generator=generator,
            output_type="np",
        ).images
        yield to_bytes(pictures)


@torch.no_grad()
def reconstruct(movq: VQModel, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Send pictures through the MoVQ's continuous latents and back."""
    rebuilt = []
    for start in range(0, len(images), BATCH_SIZE):
        latents = movq.encode(to_signed_floats(images[start : start + BATCH_SIZE])).latents
        decoded = movq.decode(latents, force_not_quantize=True).sample
        rebuilt.append(to_bytes((decoded.permute(0, 2, 3, 1).numpy() + 1) / 2))
    return np.concatenate(rebuilt)
