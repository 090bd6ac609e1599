"""The paper's Algorithm 1: denoise a cluster once, and let its children go on from where it stood."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

Members = frozenset[int]


def step_kwargs(scheduler: Any, generator: torch.Generator, k: int = 1) -> dict[str, Any]:
    """What `scheduler.step` takes at step `k` besides output, timestep and latents.

    `generator` only where it takes one; and UnCLIP's own scheduler wants to know the timestep that follows.
    """
    taken = inspect.signature(scheduler.step).parameters
    following = scheduler.timesteps[k] if "prev_timestep" in taken and k < len(scheduler.timesteps) else None
    given = {"generator": generator, "prev_timestep": following}
    return {name: value for name, value in given.items() if name in taken}


def mean_conditioning(conditioning: Mapping[str, torch.Tensor], members: Members) -> dict[str, torch.Tensor]:
    """The mean of the members' rows, (1, ...) each: summed in float64 in ascending order, cast once."""
    means = {}
    for name, tensor in conditioning.items():
        assert tensor.is_floating_point(), f"a mean of {name} ({tensor.dtype}) has no meaning"
        total = torch.zeros_like(tensor[:1], dtype=torch.float64)
        for member in sorted(members):
            total = total + tensor[member : member + 1].to(torch.float64)
        means[name] = (total / len(members)).to(tensor.dtype)
    return means


def algorithm1(
    conditioning: Mapping[str, torch.Tensor],
    frontier: Sequence[Sequence[Members]],
    initial_noise: Callable[[Members], torch.Tensor],
    predict: Callable[[torch.Tensor, int, dict[str, torch.Tensor]], torch.Tensor],
    scheduler: Any,
    noise_generator: Callable[[Members, int], torch.Generator],
) -> torch.Tensor:
    """Every prompt's final latents, (N, ...), one cluster and one row at a time.

    Args:
        conditioning: name -> (N, ...), floating point.
        frontier: the clusters of each step k = 1 .. K (item k - 1); each step's lie within those of the step
            before. With a scheduler of several evaluations a step, one item an evaluation (a step's clusters
            repeated), and k counts evaluations throughout.
        initial_noise: a cluster of the first step -> its x_T, (1, ...), scaled as the scheduler wants it.
        predict: (x (1, ...), k, conditioning (1, ...)) -> the guided model output at
            `scheduler.timesteps[k - 1]`. x is the state itself: scaling the network's input is up to `predict`.
        scheduler: its timesteps are set and no step is taken; it is copied and stays as it is.
        noise_generator: (cluster, k) -> the generator of the noise that the step adds.
    """
    served_by: dict[int, Members] = {}  # leaf -> the cluster that served it at k - 1
    latents: dict[Members, torch.Tensor] = {}
    schedulers: dict[Members, Any] = {}
    for k in range(1, len(frontier) + 1):
        new_latents: dict[Members, torch.Tensor] = {}
        new_schedulers: dict[Members, Any] = {}
        for members in frontier[k - 1]:
            if k == 1:
                x, sampler = initial_noise(members), copy.deepcopy(scheduler)
            else:
                (parent,) = {served_by[member] for member in members}
                x, sampler = latents[parent].clone(), copy.deepcopy(schedulers[parent])
            eps = predict(x, k, mean_conditioning(conditioning, members))
            kwargs = step_kwargs(sampler, noise_generator(members, k), k)
            x = sampler.step(eps, scheduler.timesteps[k - 1], x, **kwargs).prev_sample
            new_latents[members], new_schedulers[members] = x, sampler
        latents, schedulers = new_latents, new_schedulers
        served_by = {member: members for members in frontier[k - 1] for member in members}
    return torch.cat([latents[served_by[leaf]] for leaf in sorted(served_by)])
