"""The tiny models react to everything they are given, so that tests with them can fail."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hierflow.hashing import text_hash
from hierflow.models.families.kandinsky22 import Kandinsky22
from hierflow.models.runtime import resolve_runtime
from hierflow.models.source import locate
from hierflow.spec import DiffusionSpec
from hierflow_tests.models.literal import Literal
from hierflow_tests.tiny_models import DIM, SIZE, save_tiny_kandinsky

TEXTS = ["a red mug", "a blue mug", "two green cats"]


def relative_change(one: torch.Tensor, other: torch.Tensor) -> float:
    return ((one - other).norm() / one.norm()).item()


def adapter_of(folder: Path) -> Kandinsky22:
    spec = DiffusionSpec(model=str(folder), steps=4, prior_steps=2)
    return Kandinsky22(locate(spec, folder), spec, resolve_runtime(spec))


@pytest.fixture
def inputs() -> dict[str, torch.Tensor]:
    noise = torch.Generator().manual_seed(0)
    return {name: torch.randn(1, DIM, generator=noise) for name in ("image_embeds", "negative_image_embeds")}


def test_the_prediction_reacts_to_latents_conditioning_and_timestep(
    tiny: Path, inputs: dict[str, torch.Tensor]
) -> None:
    literal = Literal(tiny, "ddpm", 4, guidance=4.0)
    x = literal.initial(torch.Generator().manual_seed(1))
    usual = literal.predict(x, 2, inputs)
    assert usual.std() > 0.05
    assert relative_change(usual, literal.predict(x * 1.1, 2, inputs)) > 0.01
    assert relative_change(usual, literal.predict(x, 3, inputs)) > 0.01
    for name, rows in inputs.items():
        assert relative_change(usual, literal.predict(x, 2, {**inputs, name: -rows})) > 0.1


def test_guidance_matters(tiny: Path, inputs: dict[str, torch.Tensor]) -> None:
    outputs = []
    for guidance in (1.0, 2.0, 4.0):
        literal = Literal(tiny, "ddpm", 4, guidance)
        outputs.append(literal.predict(literal.initial(torch.Generator().manual_seed(1)), 2, inputs))
    assert relative_change(outputs[0], outputs[1]) > 0.1
    assert relative_change(outputs[1], outputs[2]) > 0.1


def test_prompts_have_different_conditioning_and_images_differ_with_their_latents(tiny: Path) -> None:
    adapter = adapter_of(tiny)
    embeds = adapter.encode(TEXTS, [text_hash(text) for text in TEXTS])["image_embeds"]
    directions = embeds / np.linalg.norm(embeds, axis=1, keepdims=True)
    assert (directions @ directions.T)[np.triu_indices(3, 1)].max() < 0.99
    latents = torch.randn(2, 4, SIZE // 2, SIZE // 2, generator=torch.Generator().manual_seed(0))
    images = np.stack(adapter.decode(latents))
    assert images.shape == (2, SIZE, SIZE, 3)
    assert images.std() > 10
    assert (images[0] != images[1]).mean() > 0.5


def test_the_seed_decides_the_weights(tmp_path: Path) -> None:
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        save_tiny_kandinsky(tmp_path / name, learned_variance=True, seed=seed)
    one, same, other = (adapter_of(tmp_path / name) for name in ("one", "same", "other"))
    assert one.identity == same.identity
    assert one.encoder_fingerprint == same.encoder_fingerprint
    assert one.identity != other.identity
    assert one.encoder_fingerprint != other.encoder_fingerprint
