"""What the tree clusters by, where a document says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hierflow.document import validated
from hierflow.errors import InputError
from hierflow.models.adapter import Adapter
from hierflow.models.embedder import Embedder, open_embedder
from hierflow.models.registry import open_model
from hierflow.spec import DiffusionSpec, EmbeddingSpec, ImageSetSpec
from hierflow_tests.models.families.cases import CASES
from hierflow_tests.tiny_models import save_tiny_kandinsky, save_tiny_stable_unclip, save_tiny_unclip

TEXTS = ["a red mug", "a blue mug", "two green cats", "xyz 99"]
WITH_PRIOR = {"kandinsky": save_tiny_kandinsky, "unclip": save_tiny_unclip, "stable-unclip": save_tiny_stable_unclip}


def opened(source: str, adapter: Adapter, **more: Any) -> Embedder | None:
    return open_embedder(EmbeddingSpec.model_validate({"from": source, **more}), Path("/"), adapter)


def of_model(folder: Path, **settings: Any) -> Adapter:
    return open_model(DiffusionSpec(model=str(folder), **settings), Path("/"))


@pytest.mark.parametrize("name", WITH_PRIOR)
def test_the_text_encoder_of_a_model_with_a_prior_sees_the_text_alone(name: str, tmp_path: Path) -> None:
    kind = {"learned_variance": False} if name == "kandinsky" else {}
    folder = WITH_PRIOR[name](tmp_path, **kind)  # type: ignore[operator]
    adapter: Any = of_model(folder)
    embedder = opened("text_encoder", adapter)
    assert embedder is not None
    vectors = embedder.vectors(TEXTS)
    pipeline = adapter.loaded.encoder
    part = "prior_text_encoder" if name == "stable-unclip" else "text_encoder"
    tokenizer = pipeline.prior_tokenizer if name == "stable-unclip" else pipeline.tokenizer
    for text, vector in zip(TEXTS, vectors, strict=True):
        tokens = tokenizer([text], padding="max_length", max_length=tokenizer.model_max_length, return_tensors="pt")
        with torch.no_grad():
            expected = getattr(pipeline, part)(tokens.input_ids).text_embeds[0].numpy()
        np.testing.assert_allclose(vector, expected, atol=1e-5)
    assert np.array_equal(embedder.vectors(TEXTS[2:3])[0], vectors[2])
    before = embedder.clustering.fingerprint
    again = opened("text_encoder", of_model(folder, prior_seed=5, prior_steps=7))
    assert again is not None
    assert again.clustering.fingerprint == before != adapter.encoder_fingerprint


@pytest.mark.parametrize("case", [case for case in CASES if "unclip" not in case.name], ids=lambda case: case.name)
def test_without_a_prior_the_text_encoder_is_no_other_choice(case: Any, tmp_path: Path) -> None:
    adapter: Any = of_model(case.save(tmp_path))
    with pytest.raises(InputError, match=r"embedding\.from: 'text_encoder' is what a tree of .* clusters by anyway"):
        opened("text_encoder", adapter)
    assert "encoder" not in vars(adapter.loaded)  # found before anything is loaded


def test_the_conditioning_needs_no_embedder(tiny_learned: Path) -> None:
    assert opened("conditioning", of_model(tiny_learned)) is None
    for source in ("conditioning", "text_encoder"):
        with pytest.raises(InputError, match=rf"embedding\.revision: 'v1' goes with a model of its own, .*{source}"):
            opened(source, of_model(tiny_learned), revision="v1")


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ({"from": 3}, r"embedding\.from: 3 is not text; `conditioning` \(what conditions the images\)"),
        ({"from": ""}, r"embedding\.from: '' is empty"),
        ({"source": "conditioning"}, r"embedding\.source: is not a field; the fields here are from, revision"),
        ({"form": "conditioning"}, r"embedding\.form: is not a field; did you mean from"),
        ("conditioning", r"embedding: 'conditioning' is not a mapping"),
    ],
)
def test_faults_are_told_by_the_fields_name(section: Any, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        validated(ImageSetSpec, {"name": "a", "prompts": {"text": ["b"]}, "embedding": section})


def test_a_spec_survives_being_written_down() -> None:
    spec = EmbeddingSpec.model_validate({"from": "a/b", "revision": "v1"})
    assert EmbeddingSpec.model_validate_json(spec.model_dump_json()) == spec
