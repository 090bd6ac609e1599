"""Train the prior, which predicts a picture's embedding from a prompt.

    python -m benchmarks.mini_model.train_prior --work DIR [--start MODEL/prior]

Needs the encoded pictures. One prompt in ten is empty, for guidance; one in five names little besides the product,
because such prompts have the most to learn: the mean of everything that they leave open.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from diffusers import PriorTransformer
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextModelWithProjection, CLIPTokenizer

from benchmarks.mini_model.grammar import Attributes, Mentions, prompt_for, random_mentions
from benchmarks.mini_model.loop import Trainer, join_workers
from benchmarks.mini_model.models import TRAINING_STEPS, build_prior, build_prior_scheduler, use_plain_attention
from benchmarks.mini_model.recipe import Run, parse_run
from benchmarks.mini_model.tokenizer import PromptEncoder

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
        self.prior, self.text_encoder, self.batch = prior, text_encoder.eval(), run.batch
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
            text = self.text_encoder(input_ids=ids)
        target = self.targets[torch.from_numpy(rows)]
        when = torch.rand(self.batch) ** TIMESTEP_EXPONENT
        timesteps = (when * TRAINING_STEPS).long().clamp(max=TRAINING_STEPS - 1)
        signal = self.signal[timesteps][:, None]
        predicted = self.prior(
            signal.sqrt() * target + (1 - signal).sqrt() * torch.randn_like(target),
            timesteps,
            proj_embedding=text.text_embeds,
            encoder_hidden_states=text.last_hidden_state,
            attention_mask=mask.bool(),
        ).predicted_image_embedding
        return functional.mse_loss(predicted, target)


def load_prior(run: Run) -> PriorTransformer:
    """Make the prior, or load it from a prior pipeline's folder."""
    prior = (
        PriorTransformer.from_pretrained(run.start / "prior", torch_dtype=torch.float32)
        if run.start
        else build_prior()
    )
    for statistic in (prior.clip_mean, prior.clip_std):
        if isinstance(statistic, nn.Parameter):
            statistic.requires_grad_(False)
    use_plain_attention(prior)
    return prior.train()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    run = parse_run(__doc__, arguments, steps=1000, batch=256, rate=1e-3)
    workers = join_workers()
    torch.manual_seed(0)
    prior = load_prior(run)
    embeddings = torch.from_numpy(np.load(run.work.file("image_embeddings.npy")))
    loss = PriorLoss(run, prior, embeddings)
    Trainer(prior, run.settings("prior"), workers).run(loss)
    if workers.is_first:
        prior.save_pretrained(run.work.part("prior"))


if __name__ == "__main__":
    main()
