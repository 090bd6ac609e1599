"""How far two draws of the prior for one prompt are apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from hierflow.mini.evaluation.sampling import GUIDANCE, PRIOR_STEPS, MiniModel
from hierflow.mini.pixels import to_signed_floats

DRAWS: Final = 4


@torch.no_grad()
def draw_similarity(
    model: MiniModel, prompts: Sequence[str], draws: int = DRAWS, guidance: float = GUIDANCE, seed: int = 0
) -> float:
    """Return the mean cosine between two draws' embeddings of one prompt: 1 is a point estimate.

    Guidance pushes a draw away from what pictures have in common without the prompt, and thereby draws together.
    """
    rounds = []
    for index in range(draws):
        found = model.prior(
            list(prompts),
            num_inference_steps=PRIOR_STEPS,
            guidance_scale=guidance,
            generator=torch.Generator().manual_seed(seed + index),
        )
        rounds.append(functional.normalize(found.image_embeds, dim=-1))
    embeddings = torch.stack(rounds, dim=1)
    similarity = (embeddings @ embeddings.mT).mean(dim=0).numpy()
    return float(similarity[~np.eye(draws, dtype=bool)].mean())


@torch.no_grad()
def picture_similarity(model: MiniModel, renders: Sequence[NDArray[np.uint8]]) -> float:
    """Return the mean cosine between the embeddings of different pictures of one combination.

    Args:
        renders: per combination its pictures (n, 64, 64, 3).
    """
    similarities = []
    for pictures in renders:
        embeddings = functional.normalize(model.prior.image_encoder(to_signed_floats(pictures)).image_embeds, dim=-1)
        similarity = (embeddings @ embeddings.T).numpy()
        similarities.append(similarity[~np.eye(len(pictures), dtype=bool)].mean())
    return float(np.mean(similarities))
