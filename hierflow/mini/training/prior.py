"""Train the prior, which predicts a picture's embedding from a prompt.

Needs the encoded pictures. One prompt in ten is empty, for guidance; one in five names little besides the product,
because such prompts have the most to learn: the mean of everything that they leave open.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from diffusers import PriorTransformer
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextModelWithProjection, CLIPTokenizer

from hierflow.mini.catalogue.grammar import Attributes, Mentions, prompt_for, random_mentions
from hierflow.mini.training.encode import image_embeddings
from hierflow.mini.training.loop import Trainer
from hierflow.mini.training.networks import TRAINING_STEPS, build_prior, build_prior_scheduler, use_plain_attention
from hierflow.mini.training.tokenizer import PromptEncoder
from hierflow.mini.training.work import Run

STEPS: Final = 1000
BATCH: Final = 512
RATE: Final = 1e-3
EMPTY_CHANCE: Final = 0.1
SHORT_CHANCE: Final = 0.2
SHORT_MENTION_CHANCE: Final = 0.3
# The early, noisy steps decide the embedding: they get more than their share of the batch.
TIMESTEP_EXPONENT: Final = 0.7


def random_prompt(attributes: Attributes, rng: np.random.Generator) -> str:
    """Draw what training says about a picture: mostly all of it, sometimes little, sometimes nothing."""
    if rng.random() < EMPTY_CHANCE:
        return ""
    if rng.random() < SHORT_CHANCE:
        named = Mentions(True, *(bool(rng.random() < SHORT_MENTION_CHANCE) for _ in range(4)))
        return prompt_for(attributes, named)
    return prompt_for(attributes, random_mentions(rng))


class PriorLoss:
    """The squared error of the predicted embedding, in the prior's own normalised units."""

    def __init__(self, run: Run, prior: PriorTransformer, embeddings: Tensor) -> None:
        """Load the text encoder, and take the embeddings' mean and spread for the prior's."""
        tokenizer = CLIPTokenizer.from_pretrained(run.work.part("tokenizer"))
        text_encoder = CLIPTextModelWithProjection.from_pretrained(run.work.part("text_encoder"))
        self.device, self.batch = run.workers.device, run.workers.share(BATCH)
        self.prior, self.text_encoder = prior, text_encoder.eval().to(self.device)
        self.prompts = PromptEncoder(tokenizer)
        self.attributes: NDArray[np.int64] = run.work.pictures().attributes
        prior.clip_mean.data = embeddings.mean(dim=0, keepdim=True)
        prior.clip_std.data = embeddings.std(dim=0, keepdim=True)
        self.targets = (embeddings - prior.clip_mean.data) / prior.clip_std.data
        self.signal = build_prior_scheduler().alphas_cumprod

    def __call__(self, rng: np.random.Generator) -> Tensor:
        """Return the loss of a fresh batch."""
        rows = rng.integers(0, len(self.targets), self.batch)
        prompts = [random_prompt(Attributes(*map(int, row)), rng) for row in self.attributes[rows]]
        ids, mask = self.prompts.encode(prompts)
        with torch.no_grad():
            text = self.text_encoder(input_ids=ids.to(self.device))
        target = self.targets[torch.from_numpy(rows)].to(self.device)
        when = torch.rand(self.batch) ** TIMESTEP_EXPONENT
        timesteps = (when * TRAINING_STEPS).long().clamp(max=TRAINING_STEPS - 1)
        signal = self.signal[timesteps][:, None].to(self.device)
        predicted = self.prior(
            signal.sqrt() * target + (1 - signal).sqrt() * torch.randn_like(target),
            timesteps.to(self.device),
            proj_embedding=text.text_embeds,
            encoder_hidden_states=text.last_hidden_state,
            attention_mask=mask.bool().to(self.device),
        ).predicted_image_embedding
        return functional.mse_loss(predicted, target)


def load_prior(run: Run) -> PriorTransformer:
    """Make the prior, or load it from a prior pipeline's folder."""
    prior = (
        PriorTransformer.from_pretrained(run.start / "prior" / "prior", torch_dtype=torch.float32)
        if run.start
        else build_prior()
    )
    for statistic in (prior.clip_mean, prior.clip_std):
        if isinstance(statistic, nn.Parameter):
            statistic.requires_grad_(False)
    use_plain_attention(prior)
    return prior.train()


def train(run: Run) -> None:
    """Write `prior/`."""
    torch.manual_seed(0)
    prior = load_prior(run)
    loss = PriorLoss(run, prior, image_embeddings(run.work))
    Trainer(prior, run.settings("prior", steps=STEPS, rate=RATE), run.workers).run(loss)
    if run.workers.is_first:
        prior.save_pretrained(run.work.part("prior"))
