"""Any CLIP can give the score `clip`, and its embeddings of images besides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPModel, CLIPProcessor

from hierflow.errors import InputError
from hierflow.models.runtime import ON_CPU
from hierflow.scoring import Scorer
from hierflow.scoring.clip_score import ClipScore, load_clip
from hierflow_tests.tiny_models.clip import save_tiny_clip
from hierflow_tests.tiny_models.parts import READS

IMAGES = list(np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8))
HALF = replace(ON_CPU, dtype="bfloat16", fixed_batch=None)
PROMPTS = ["a mug", "a red mug", "a hat", "a blue chair", "a cat"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def clip(folder: Path) -> ClipScore:
    return load_clip(folder.name, base=folder.parent)


def test_scores_and_embeddings_are_those_of_the_whole_model(folder: Path, clip: ClipScore) -> None:
    model, processor = CLIPModel.from_pretrained(folder).eval(), CLIPProcessor.from_pretrained(folder)
    pictures = [Image.fromarray(image) for image in IMAGES]
    inputs = processor(
        text=PROMPTS, images=pictures, return_tensors="pt", padding="max_length", truncation=True, max_length=READS
    )
    with torch.no_grad():
        expected = model(**inputs)
    cosines = (expected.text_embeds * expected.image_embeds).sum(dim=1)
    assert clip.score(IMAGES, PROMPTS) == pytest.approx(cosines.tolist(), abs=1e-5)
    np.testing.assert_allclose(clip.image_embeddings(IMAGES), expected.image_embeds.numpy(), atol=1e-5)
    assert cosines.std() > 0.01


def test_it_is_a_scorer_called_clip(clip: ClipScore) -> None:
    assert isinstance(clip, Scorer)
    assert clip.name == "clip"


def test_its_provenance_says_what_was_asked(folder: Path) -> None:
    found = load_clip(str(folder), HALF).provenance
    assert found == {"model": str(folder), "commit": None, "dtype": "bfloat16"}


def test_the_version_follows_files_and_precision_and_loads_nothing(folder: Path, tmp_path: Path) -> None:
    one, again = load_clip(str(folder)), load_clip(str(folder))
    other, half = load_clip(str(save_tiny_clip(tmp_path, seed=1))), load_clip(str(folder), HALF)
    assert one.version == again.version
    assert len({one.version, other.version, half.version}) == 3
    assert "_encoders" not in vars(one)


def test_what_is_no_clip_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match=r"scoring\.clip: 'nowhere' is neither a folder nor a hub id"):
        load_clip("nowhere", base=folder)
