"""One prompt's own sampling loop, along the path that is recorded for it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from .algorithm1 import Members, mean_conditioning, step_kwargs


def along_path(
    conditioning: Mapping[str, torch.Tensor],
    path: Sequence[Members],
    initial_noise: Callable[[Members], torch.Tensor],
    predict: Callable[[torch.Tensor, int, dict[str, torch.Tensor]], torch.Tensor],
    scheduler: Any,
    noise_generator: Callable[[Members, int], torch.Generator],
) -> torch.Tensor:
    """The final latents, (1, ...).

    Args:
        conditioning: name -> (N, ...), floating point.
        path: of each step k = 1 .. K (item k - 1), the prompts that the node was made from; a grafted prompt is
            none of those it shares the first steps with.
        initial_noise, predict, scheduler, noise_generator: see :func:`algorithm1`.
    """
    sampler, x = copy.deepcopy(scheduler), initial_noise(path[0])
    for k, founders in enumerate(path, start=1):
        eps = predict(x, k, mean_conditioning(conditioning, founders))
        x = sampler.step(
            eps, scheduler.timesteps[k - 1], x, **step_kwargs(sampler, noise_generator(founders, k))
        ).prev_sample
    return x
