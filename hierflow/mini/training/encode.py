"""Encode the training pictures and prompts once, for the trainings that read them over and over."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from diffusers import KandinskyV22PriorPipeline, PriorTransformer, VQModel
from numpy.typing import NDArray
from torch import Tensor
from transformers import CLIPTextModelWithProjection, CLIPTokenizer, CLIPVisionModelWithProjection

from hierflow.mini.catalogue.grammar import (
    ATTRIBUTE_NAMES,
    ATTRIBUTE_SIZES,
    Attributes,
    Mentions,
    is_held_out,
    prompt_for,
)
from hierflow.mini.evaluation.sampling import GUIDANCE
from hierflow.mini.pixels import to_signed_floats
from hierflow.mini.training.networks import (
    EMBEDDING_SIZE,
    LATENT_CHANNELS,
    LATENT_SIZE,
    build_image_processor,
    build_prior_scheduler,
)
from hierflow.mini.training.rows import Columns, GrowingArrays, read_rows
from hierflow.mini.training.work import Run, WorkFolder

BATCH_SIZE: Final = 100
PROMPT_BATCH_SIZE: Final = 250
# The prior is close to a point estimate: six steps give what 25 give.
PROMPT_STEPS: Final = 6
UNMENTIONED: Final = -1


def encode_pictures(run: Run) -> None:
    """Write the pictures' latents (half precision) and image embeddings, in the pictures' order."""
    work, device, pictures = run.work, run.workers.device, run.work.pictures()
    movq = VQModel.from_pretrained(work.part("movq")).eval().to(device)
    encoder = CLIPVisionModelWithProjection.from_pretrained(work.part("image_encoder")).eval().to(device)
    columns: Columns = {
        "latents": ((LATENT_CHANNELS, LATENT_SIZE, LATENT_SIZE), np.float16),
        "image_embeddings": ((EMBEDDING_SIZE,), np.float32),
    }
    arrays = GrowingArrays(work.file(""), len(pictures), columns)

    @torch.no_grad()
    def chunks() -> Iterator[dict[str, NDArray[Any]]]:
        for start in range(arrays.done, len(pictures), BATCH_SIZE):
            images = to_signed_floats(pictures.images[start : start + BATCH_SIZE]).to(device)
            yield {
                "latents": movq.encode(images).latents.cpu().numpy(),
                "image_embeddings": encoder(pixel_values=images).image_embeds.cpu().numpy(),
            }

    arrays.fill("encode_pictures", chunks())


def latents(work: WorkFolder) -> NDArray[np.float16]:
    """Open the pictures' latents."""
    return read_rows(work.file(""), "latents")


def image_embeddings(work: WorkFolder) -> Tensor:
    """Open the pictures' embeddings, (N, 128)."""
    return torch.from_numpy(np.array(read_rows(work.file(""), "image_embeddings")))


def training_prompts() -> list[tuple[int, ...]]:
    """Return every prompt of the grammar as attribute indices, -1 for the unmentioned, without held-out ones."""
    choices = [range(ATTRIBUTE_SIZES[0]), *(range(UNMENTIONED, size) for size in ATTRIBUTE_SIZES[1:])]
    every = itertools.product(*choices)
    return [key for key in every if UNMENTIONED in key or not is_held_out(Attributes(*key))]


def prompt_of_key(key: Sequence[int]) -> str:
    """Write the prompt that such a row of indices stands for."""
    attributes = Attributes(*(max(value, 0) for value in key))
    return prompt_for(attributes, Mentions(*(value != UNMENTIONED for value in key)))


def load_prior_pipeline(work: WorkFolder) -> KandinskyV22PriorPipeline:
    """Put the work folder's trained parts together."""
    pipeline = KandinskyV22PriorPipeline(
        prior=PriorTransformer.from_pretrained(work.part("prior")),
        image_encoder=CLIPVisionModelWithProjection.from_pretrained(work.part("image_encoder")),
        text_encoder=CLIPTextModelWithProjection.from_pretrained(work.part("text_encoder")),
        tokenizer=CLIPTokenizer.from_pretrained(work.part("tokenizer")),
        scheduler=build_prior_scheduler(),
        image_processor=build_image_processor(),
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def encode_prompts(run: Run) -> None:
    """Write the prior's guided embeddings of the training prompts; below scale 1, of a share of them."""
    pipeline, keys = load_prior_pipeline(run.work).to(run.workers.device), np.array(training_prompts(), np.int8)
    chosen = np.random.default_rng(0).permutation(len(keys))[: run.scaled(len(keys))]
    keys = keys[np.sort(chosen)]
    columns: Columns = {
        "prompt_keys": ((len(ATTRIBUTE_NAMES),), np.int8),
        "prompt_embeddings": ((EMBEDDING_SIZE,), np.float32),
    }
    arrays = GrowingArrays(run.work.file(""), len(keys), columns)

    def chunks() -> Iterator[dict[str, NDArray[Any]]]:
        for start in range(arrays.done, len(keys), PROMPT_BATCH_SIZE):
            rows = keys[start : start + PROMPT_BATCH_SIZE]
            found = pipeline(
                [prompt_of_key(key) for key in rows.tolist()],
                num_inference_steps=PROMPT_STEPS,
                guidance_scale=GUIDANCE,
                generator=torch.Generator().manual_seed(start),
            )
            yield {"prompt_keys": rows, "prompt_embeddings": found.image_embeds.cpu().numpy()}

    arrays.fill("encode_prompts", chunks())


@dataclass(frozen=True)
class PromptEmbeddings:
    """The prior's embeddings of the training prompts, found by their attribute indices."""

    embeddings: Tensor
    index: NDArray[np.int64]

    def find(self, keys: NDArray[np.integer]) -> tuple[Tensor, Tensor]:
        """Return the embeddings of rows of indices (N, 5), -1 for the unmentioned, and which of them are known."""
        places = torch.from_numpy(self.index[tuple(np.moveaxis(keys, -1, 0) + 1)])
        return self.embeddings[places], places >= 0


def read_prompt_embeddings(work: WorkFolder) -> PromptEmbeddings:
    """Open what `encode_prompts` wrote."""
    keys = np.array(read_rows(work.file(""), "prompt_keys")).astype(np.int64)
    index = np.full([size + 1 for size in ATTRIBUTE_SIZES], UNMENTIONED, np.int64)
    index[tuple(keys.T + 1)] = np.arange(len(keys))
    return PromptEmbeddings(torch.from_numpy(np.array(read_rows(work.file(""), "prompt_embeddings"))), index)
