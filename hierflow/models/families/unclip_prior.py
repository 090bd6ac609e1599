"""The prior of the unCLIP families: a sampler of its own, from a text's embedding to that of an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hierflow.errors import InputError
from hierflow.hashing import seed_from
from hierflow.spec import DiffusionSpec

if TYPE_CHECKING:
    import torch


def check_prior_steps(spec: DiffusionSpec) -> None:
    """The schedulers of these priors divide by the number of steps less one.

    Raises:
        InputError: there is but one step.
    """
    if spec.prior_steps < 2:
        raise InputError(
            "is too few steps for this prior",
            field="diffusion.prior_steps",
            value=spec.prior_steps,
            remedy="take at least 2",
        )


def prior_generator(spec: DiffusionSpec, key: str) -> torch.Generator:
    """All of a prompt's own noise in the prior, one draw after another."""
    import torch

    return torch.Generator().manual_seed(seed_from("hierflow prior noise 1", spec.prior_seed, key))


def image_embeddings(
    pipeline: Any,
    spec: DiffusionSpec,
    text: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    generators: Sequence[torch.Generator],
    *,
    guided: bool,
    looks_ahead: bool,
) -> torch.Tensor:
    """(B, D) image embeddings, as `UnCLIPPipeline` and `StableUnCLIPPipeline` sample them.

    Args:
        pipeline: has the components `prior` and `prior_scheduler`.
        spec: the prior's steps and guidance.
        text: embeddings (B, D), hidden states (B, L, D) and mask (B, L); if guided, 2B rows, the empty text's first.
        generators: one a row.
        guided: whether the prior sees the empty text too.
        looks_ahead: whether its scheduler is told of the next timestep.
    """
    import torch
    from diffusers.utils.torch_utils import randn_tensor

    scheduler, (embeds, hidden, mask) = pipeline.prior_scheduler, text
    scheduler.set_timesteps(spec.prior_steps, device=embeds.device)
    timesteps = scheduler.timesteps
    shape = (len(generators), pipeline.prior.config.embedding_dim)
    drawn = randn_tensor(shape, generator=list(generators), device=embeds.device, dtype=embeds.dtype)
    latents = drawn * scheduler.init_noise_sigma
    for index, t in enumerate(timesteps):
        output = pipeline.prior(
            scheduler.scale_model_input(torch.cat([latents, latents]) if guided else latents, t),
            timestep=t,
            proj_embedding=embeds,
            encoder_hidden_states=hidden,
            attention_mask=mask,
        ).predicted_image_embedding
        if guided:
            without, with_text = output.chunk(2)
            output = without + spec.prior_guidance_scale * (with_text - without)
        following = timesteps[index + 1] if index + 1 < len(timesteps) else None
        ahead = {"prev_timestep": following} if looks_ahead else {}
        latents = scheduler.step(output, t, latents, generator=list(generators), **ahead).prev_sample
    found: torch.Tensor = pipeline.prior.post_process_latents(latents)
    return found
