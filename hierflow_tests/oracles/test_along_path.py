from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler

from .algorithm1 import Members, algorithm1
from .along_path import along_path
from .test_algorithm1 import ALL, ALONE, CONDITIONING, PAIR, STEPS, noise, predict, scheduled, seeded


@pytest.mark.parametrize("kind", [DDPMScheduler, DDIMScheduler, DPMSolverMultistepScheduler])
def test_along_a_founding_path_it_is_algorithm_1(kind: Any) -> None:
    frontier: list[list[Members]] = [[ALL], [ALL], [PAIR, ALONE[2]], [PAIR, ALONE[2]], ALONE]
    scheduler = scheduled(kind)
    latents = algorithm1(CONDITIONING, frontier, noise, predict, scheduler, seeded)
    for leaf in range(3):
        path = [next(c for c in level if leaf in c) for level in frontier]
        found = along_path(CONDITIONING, path, noise, predict, scheduler, seeded)
        assert torch.equal(found, latents[leaf : leaf + 1])


def test_a_grafted_prompt_is_none_of_those_it_shares_steps_with() -> None:
    scheduler = scheduled(DDIMScheduler)
    path = [PAIR] * 2 + [ALONE[2]] * (STEPS - 2)
    found = along_path(CONDITIONING, path, noise, predict, scheduler, seeded)
    others = [[ALONE[0]] * STEPS, [PAIR] * STEPS, [ALONE[2]] * STEPS]
    assert not any(
        torch.allclose(found, along_path(CONDITIONING, other, noise, predict, scheduler, seeded)) for other in others
    )
