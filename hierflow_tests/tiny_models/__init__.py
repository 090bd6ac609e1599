"""Tiny randomly initialised models in diffusers format: real code paths, milliseconds a step.

An untrained network hides mistakes: some of its layers start at zero or constant, so that its output would not
react to what it is given, and every comparison of outputs would hold. Here such weights are randomised, and
`models/test_tiny_models.py` shows that the output reacts.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from hierflow_tests.tiny_models.flux import save_tiny_flux
from hierflow_tests.tiny_models.flux2 import save_tiny_flux2, save_tiny_flux2_klein
from hierflow_tests.tiny_models.kandinsky22 import save_tiny_kandinsky
from hierflow_tests.tiny_models.parts import DIM, SIZE
from hierflow_tests.tiny_models.qwen_image import save_tiny_qwen_image
from hierflow_tests.tiny_models.stable_diffusion import save_tiny_stable_diffusion
from hierflow_tests.tiny_models.stable_diffusion_3 import save_tiny_stable_diffusion_3
from hierflow_tests.tiny_models.stable_diffusion_xl import save_tiny_stable_diffusion_xl
from hierflow_tests.tiny_models.stable_unclip import save_tiny_stable_unclip
from hierflow_tests.tiny_models.unclip import save_tiny_unclip

__all__ = [
    "DIM",
    "SIZE",
    "save_tiny_flux",
    "save_tiny_flux2",
    "save_tiny_flux2_klein",
    "save_tiny_kandinsky",
    "save_tiny_qwen_image",
    "save_tiny_stable_diffusion",
    "save_tiny_stable_diffusion_3",
    "save_tiny_stable_diffusion_xl",
    "save_tiny_stable_unclip",
    "save_tiny_unclip",
    "tiny",
    "tiny_learned",
]


@pytest.fixture(scope="session", params=[True, False], ids=["learned-variance", "fixed-variance"])
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model's folder, once with and once without learned variance."""
    return save_tiny_kandinsky(tmp_path_factory.mktemp("tiny"), learned_variance=request.param)


@pytest.fixture(scope="session")
def tiny_learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model's folder, with learned variance as Kandinsky's own has it."""
    return save_tiny_kandinsky(tmp_path_factory.mktemp("tiny"), learned_variance=True)
