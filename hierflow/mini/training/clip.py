"""Train the text and the image encoder together.

Contrastive, over each process's own batch, with prompts of which nearly half name everything. Linear heads that read
the attributes from either embedding add their cross entropy; without them the patterns stay faint in the embedding.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextModelWithProjection, CLIPTokenizer, CLIPVisionModelWithProjection

from hierflow.mini.catalogue.grammar import ATTRIBUTE_SIZES, random_mentions
from hierflow.mini.training.augment import jitter
from hierflow.mini.training.loop import Trainer
from hierflow.mini.training.networks import EMBEDDING_SIZE, build_image_encoder, build_text_encoder
from hierflow.mini.training.pictures import PictureSet
from hierflow.mini.training.tokenizer import PromptEncoder
from hierflow.mini.training.work import Run

STEPS: Final = 1500
BATCH: Final = 256
RATE: Final = 1.2e-3
LARGEST_SCALE: Final = 40.0
HEAD_SCALE: Final = 8.0
TEXT_HEAD_WEIGHT: Final = 0.3
LENGTH_WEIGHT: Final = 1e-3
# Product and pattern are the hardest to see, background and style the easiest.
HEAD_WEIGHTS: Final = (0.3, 0.15, 0.4, 0.05, 0.1)


class ContrastivePair(nn.Module):
    """Both encoders, the heads that only training needs, and the logarithm of the similarity's scale."""

    def __init__(self, text: CLIPTextModelWithProjection, image: CLIPVisionModelWithProjection) -> None:
        """Add fresh heads to the encoders."""
        super().__init__()
        self.text, self.image = text, image
        self.heads = nn.ModuleList(nn.Linear(EMBEDDING_SIZE, size) for size in ATTRIBUTE_SIZES)
        self.log_scale = nn.Parameter(torch.tensor(math.log(10.0)))

    def read_attributes(self, directions: Tensor) -> list[Tensor]:
        """Return one tensor of logits an attribute for embeddings of length 1."""
        return [head(directions * HEAD_SCALE) for head in self.heads]


def contrastive_loss(similarity: Tensor, attributes: Tensor, mentioned: Tensor) -> Tensor:
    """Return the mean of both directions' cross entropy for similarities (pictures, prompts).

    A picture that another picture's prompt describes just as well is no wrong answer: it is left out.
    """
    equal = attributes[:, None, :] == attributes[None, :, :]
    fits = (equal | ~mentioned[None, :, :]).all(dim=-1).fill_diagonal_(fill_value=False)
    masked = similarity.masked_fill(fits, -1e4)
    right = torch.arange(len(masked), device=masked.device)
    return (functional.cross_entropy(masked, right) + functional.cross_entropy(masked.T, right)) / 2


def attribute_loss(logits: list[Tensor], attributes: Tensor, mentioned: Tensor) -> Tensor:
    """Return the weighted cross entropy of the mentioned attributes."""
    losses = [
        weight * (functional.cross_entropy(scores, attributes[:, k], reduction="none") * mentioned[:, k]).mean()
        for k, (weight, scores) in enumerate(zip(HEAD_WEIGHTS, logits, strict=True))
    ]
    return torch.stack(losses).sum()


def length_loss(embeddings: Tensor) -> Tensor:
    """Return how far the embeddings are from unit variance a dimension."""
    excess: Tensor = embeddings.norm(dim=-1) - math.sqrt(EMBEDDING_SIZE)
    return (excess**2).mean()


def clip_loss(
    pair: ContrastivePair, prompts: PromptEncoder, pictures: PictureSet, batch: int, rng: np.random.Generator
) -> Tensor:
    """Return the whole loss of a fresh batch."""
    device = pair.log_scale.device
    images, rows, sampled = pictures.sample(batch, rng)
    mentions = [random_mentions(rng) for _ in rows]
    attributes, mentioned = sampled.to(device), torch.tensor(mentions, dtype=torch.bool, device=device)
    image = pair.image(pixel_values=jitter(images, rng, mirror=True).to(device)).image_embeds
    text = pair.text(input_ids=prompts.encode_attributes(rows, mentions).to(device)).text_embeds
    image_direction, text_direction = functional.normalize(image, dim=-1), functional.normalize(text, dim=-1)
    similarity = pair.log_scale.exp().clamp(max=LARGEST_SCALE) * image_direction @ text_direction.T
    seen = attribute_loss(pair.read_attributes(image_direction), attributes, torch.ones_like(mentioned))
    told = attribute_loss(pair.read_attributes(text_direction), attributes, mentioned)
    lengths = length_loss(image) + length_loss(text)
    contrast = contrastive_loss(similarity, attributes, mentioned)
    return contrast + seen + TEXT_HEAD_WEIGHT * told + LENGTH_WEIGHT * lengths


def load_pair(tokenizer: CLIPTokenizer, start: Path | None) -> ContrastivePair:
    """Make the encoders, or load them from a prior pipeline's folder, with attention that trains fast on CPUs."""
    if start is None:
        text, image = build_text_encoder(tokenizer), build_image_encoder()
    else:
        text = CLIPTextModelWithProjection.from_pretrained(start / "text_encoder", dtype=torch.float32)
        image = CLIPVisionModelWithProjection.from_pretrained(start / "image_encoder", dtype=torch.float32)
    for encoder in (text, image):
        encoder.set_attn_implementation("eager")
    return ContrastivePair(text, image).train()


def train(run: Run) -> None:
    """Write `text_encoder/` and `image_encoder/`."""
    torch.manual_seed(0)
    tokenizer = CLIPTokenizer.from_pretrained(run.work.part("tokenizer"))
    pair = load_pair(tokenizer, run.start / "prior" if run.start else None)
    prompts, pictures, batch = PromptEncoder(tokenizer), run.work.pictures(), run.workers.share(BATCH)
    settings = run.settings("clip", steps=STEPS, rate=RATE, hold=0.5, weight_decay=0.05, betas=(0.9, 0.98))
    Trainer(pair, settings, run.workers).run(lambda rng: clip_loss(pair, prompts, pictures, batch, rng))
    if run.workers.is_first:
        pair.text.save_pretrained(run.work.part("text_encoder"))
        pair.image.save_pretrained(run.work.part("image_encoder"))
