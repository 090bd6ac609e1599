"""The tiny models of every family."""

from __future__ import annotations

from pathlib import Path

import pytest

from hierflow_tests.models.families.cases import CASES, Case
from hierflow_tests.models.families.made import Made
from hierflow_tests.stages.runs import Run, carry_out
from hierflow_tests.tiny_models import save_tiny_stable_diffusion


@pytest.fixture(scope="session", params=CASES, ids=lambda case: case.name)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A family and the folder of its tiny model."""
    case: Case = request.param
    return Made(case, case.save(tmp_path_factory.mktemp(case.name)))


@pytest.fixture(scope="session")
def shared(made: Made) -> Run:
    """A run of the family with sharing; tests only read it."""
    return carry_out(made.spec())


@pytest.fixture(scope="session")
def sd15(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Stable Diffusion 1.5."""
    return save_tiny_stable_diffusion(tmp_path_factory.mktemp("sd15"))
