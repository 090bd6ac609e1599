"""CLIP similarity depends on the image and the prompt, and on nothing beside them."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoTokenizer,
    CLIPImageProcessor,
    CLIPTextModelWithProjection,
    CLIPVisionModelWithProjection,
)

import hierflow.scoring
from hierflow.scoring import ClipSimilarity, Scorer

WEIGHTS = Path(hierflow.scoring.__file__).parents[1] / "mini" / "weights" / "prior"
IMAGES = list(np.random.default_rng(0).integers(0, 256, (7, 64, 64, 3), dtype=np.uint8))
PROMPTS = [f"a photo of a {color} {thing}" for color in ("red", "blue") for thing in ("mug", "chair", "lamp")]
PROMPTS += ["a photo of a green mug on a wooden table " * 20]


@pytest.fixture(scope="module")
def parts() -> dict[str, Any]:
    return {
        "text_encoder": CLIPTextModelWithProjection.from_pretrained(WEIGHTS / "text_encoder", dtype=torch.float32),
        "tokenizer": AutoTokenizer.from_pretrained(WEIGHTS / "tokenizer"),
        "image_encoder": CLIPVisionModelWithProjection.from_pretrained(
            WEIGHTS / "image_encoder", dtype=torch.float32
        ),
        "image_processor": CLIPImageProcessor.from_pretrained(WEIGHTS / "image_processor"),
    }


@pytest.fixture(scope="module")
def scorer(parts: dict[str, Any]) -> ClipSimilarity:
    return ClipSimilarity(**parts, version="mini", batch=4)


def test_it_is_a_scorer(scorer: ClipSimilarity) -> None:
    assert isinstance(scorer, Scorer)
    assert (scorer.name, scorer.version) == ("clip_similarity", "mini")


def test_scores_are_cosines(scorer: ClipSimilarity) -> None:
    scores = scorer.score(IMAGES, PROMPTS)
    assert len(scores) == len(IMAGES)
    assert all(type(score) is float and -1 <= score <= 1 for score in scores)


def test_a_score_is_the_cosine_of_the_two_embeddings(scorer: ClipSimilarity, parts: dict[str, Any]) -> None:
    tokens = parts["tokenizer"](PROMPTS[:1], padding="max_length", return_tensors="pt")
    pixels = parts["image_processor"](images=IMAGES[:1], return_tensors="pt").pixel_values
    with torch.no_grad():
        text = parts["text_encoder"](tokens.input_ids).text_embeds
        image = parts["image_encoder"](pixels).image_embeds
    expected = torch.nn.functional.cosine_similarity(text, image).item()
    assert scorer.score(IMAGES[:1], PROMPTS[:1])[0] == pytest.approx(expected, abs=1e-5)


def test_neighbours_order_and_number_change_no_bit_of_a_score(scorer: ClipSimilarity) -> None:
    together = scorer.score(IMAGES, PROMPTS)
    alone = [scorer.score([image], [prompt])[0] for image, prompt in zip(IMAGES, PROMPTS, strict=True)]
    backwards = scorer.score(IMAGES[::-1], PROMPTS[::-1])[::-1]
    assert together == alone == backwards


def test_scores_tell_prompts_and_images_apart(scorer: ClipSimilarity) -> None:
    assert len(set(scorer.score([IMAGES[0]] * 7, PROMPTS))) == 7
    assert len(set(scorer.score(IMAGES, [PROMPTS[0]] * 7))) == 7


def test_images_of_several_sizes_are_scored_together(scorer: ClipSimilarity) -> None:
    large = np.repeat(np.repeat(IMAGES[0], 2, axis=0), 3, axis=1)
    assert scorer.score([large, IMAGES[1]], PROMPTS[:2])[1] == scorer.score([IMAGES[1]], [PROMPTS[1]])[0]


def test_every_batch_has_the_fixed_size(parts: dict[str, Any]) -> None:
    sizes = []

    class Counting:
        device, dtype = torch.device("cpu"), torch.float32
        config = parts["text_encoder"].config

        def __call__(self, inputs: torch.Tensor) -> SimpleNamespace:
            sizes.append(len(inputs))
            return SimpleNamespace(text_embeds=torch.ones(len(inputs), 3), image_embeds=torch.ones(len(inputs), 3))

    counting = {**parts, "text_encoder": Counting(), "image_encoder": Counting()}
    scores = ClipSimilarity(**counting, version="ones", batch=3).score(IMAGES, PROMPTS)
    assert sizes == [3] * 6
    assert scores == pytest.approx([1.0] * 7)


def test_no_images_have_no_scores(scorer: ClipSimilarity) -> None:
    assert scorer.score([], []) == []


def test_wrong_numbers_are_refused(scorer: ClipSimilarity, parts: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="1 images for 2 prompts"):
        scorer.score(IMAGES[:1], PROMPTS[:2])
    with pytest.raises(ValueError, match="at least one image"):
        ClipSimilarity(**parts, version="mini", batch=0)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("broken", [torch.nan, torch.inf])
def test_an_image_without_an_embedding_has_no_score_and_the_others_keep_theirs(
    scorer: ClipSimilarity, parts: dict[str, Any], broken: float
) -> None:
    class BlindToBlack:
        device, dtype = torch.device("cpu"), torch.float32

        def __call__(self, inputs: torch.Tensor) -> SimpleNamespace:
            made = parts["image_encoder"](inputs).image_embeds
            made[inputs.flatten(1).amax(dim=1) < 0] = broken
            return SimpleNamespace(image_embeds=made)

    half_blind = ClipSimilarity(**{**parts, "image_encoder": BlindToBlack()}, version="mini", batch=4)
    images = [IMAGES[0], np.zeros_like(IMAGES[1]), *IMAGES[2:]]
    scores, usual = half_blind.score(images, PROMPTS), scorer.score(IMAGES, PROMPTS)
    assert math.isnan(scores[1])
    assert [scores[0], *scores[2:]] == [usual[0], *usual[2:]]
