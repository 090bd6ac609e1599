"""Encode the training pictures and prompts once, for the trainings that read them over and over.

python -m benchmarks.mini_model.encode pictures --work DIR    latents and image embeddings
python -m benchmarks.mini_model.encode prompts --work DIR     the prior's embedding of every training prompt
"""

import argparse
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from diffusers import KandinskyV22PriorPipeline, PriorTransformer, VQModel
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import Tensor
from transformers import CLIPTextModelWithProjection, CLIPTokenizer, CLIPVisionModelWithProjection

from benchmarks.mini_model.classifier import to_signed_floats
from benchmarks.mini_model.grammar import ATTRIBUTE_SIZES, Attributes, Mentions, is_held_out, prompt_for
from benchmarks.mini_model.models import (
    EMBEDDING_SIZE,
    LATENT_CHANNELS,
    LATENT_SIZE,
    build_image_processor,
    build_prior_scheduler,
)
from benchmarks.mini_model.recipe import WorkFolder
from benchmarks.mini_model.sampling import GUIDANCE

BATCH_SIZE: Final = 100
PROMPT_BATCH_SIZE: Final = 250
# The prior is close to a point estimate: six steps give what 25 give.
PROMPT_STEPS: Final = 6
UNMENTIONED: Final = -1


@torch.no_grad()
def encode_pictures(work: WorkFolder) -> None:
    """Write `latents.npy` (half precision) and `image_embeddings.npy`, in the pictures' order."""
    pictures = work.pictures()
    movq = VQModel.from_pretrained(work.part("movq")).eval()
    encoder = CLIPVisionModelWithProjection.from_pretrained(work.part("image_encoder")).eval()
    work.file("latents.npy").parent.mkdir(parents=True, exist_ok=True)
    latents = open_memmap(
        work.file("latents.npy"),
        mode="w+",
        dtype=np.float16,
        shape=(len(pictures), LATENT_CHANNELS, LATENT_SIZE, LATENT_SIZE),
    )
    embeddings = np.zeros((len(pictures), EMBEDDING_SIZE), np.float32)
    for start in range(0, len(pictures), BATCH_SIZE):
        rows = slice(start, start + BATCH_SIZE)
        images = to_signed_floats(pictures.images[rows])
        latents[rows] = movq.encode(images).latents.numpy()
        embeddings[rows] = encoder(pixel_values=images).image_embeds.numpy()
    latents.flush()
    np.save(work.file("image_embeddings.npy"), embeddings)


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


def encode_prompts(work: WorkFolder) -> None:
    """Write `prompt_keys.npy` and the prior's guided embeddings of them, `prompt_embeddings.npy`."""
    pipeline, keys = load_prior_pipeline(work), training_prompts()
    generator, embeddings = torch.Generator().manual_seed(0), []
    for start in range(0, len(keys), PROMPT_BATCH_SIZE):
        prompts = [prompt_of_key(key) for key in keys[start : start + PROMPT_BATCH_SIZE]]
        found = pipeline(prompts, num_inference_steps=PROMPT_STEPS, guidance_scale=GUIDANCE, generator=generator)
        embeddings.append(found.image_embeds.numpy())
    work.file("prompt_keys.npy").parent.mkdir(parents=True, exist_ok=True)
    np.save(work.file("prompt_keys.npy"), np.array(keys, np.int8))
    np.save(work.file("prompt_embeddings.npy"), np.concatenate(embeddings))


@dataclass(frozen=True)
class PromptEmbeddings:
    """The prior's embeddings of the training prompts, found by their attribute indices."""

    embeddings: Tensor
    index: NDArray[np.int64]

    def find(self, keys: NDArray[np.integer]) -> Tensor:
        """Return the embeddings of rows of indices (N, 5), with -1 for the unmentioned."""
        places = self.index[tuple(np.moveaxis(keys, -1, 0) + 1)]
        return self.embeddings[torch.from_numpy(places)]


def read_prompt_embeddings(work: WorkFolder) -> PromptEmbeddings:
    """Open what `encode_prompts` wrote."""
    keys = np.load(work.file("prompt_keys.npy")).astype(np.int64)
    index = np.full([size + 1 for size in ATTRIBUTE_SIZES], UNMENTIONED, np.int64)
    index[tuple(keys.T + 1)] = np.arange(len(keys))
    return PromptEmbeddings(torch.from_numpy(np.load(work.file("prompt_embeddings.npy"))), index)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("pictures", "prompts"))
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="work folder of the recipe")
    options: Any = parser.parse_args(arguments)
    work = WorkFolder(options.work)
    if options.what == "pictures":
        encode_pictures(work)
    else:
        encode_prompts(work)


if __name__ == "__main__":
    main()
