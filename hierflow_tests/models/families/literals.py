"""Every family's guided denoiser, schedule and pipeline call, written out by hand: what the engine must equal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from diffusers.pipelines.flux.pipeline_flux import calculate_shift
from diffusers.pipelines.flux2.pipeline_flux2 import compute_empirical_mu

from hierflow_tests.tiny_models import SIZE

BATCH = 8
"""Rows a network call; the engine's own fixed batch, said again here."""
STEPS = 4

Tensors = Mapping[str, torch.Tensor]


def _guided(output: torch.Tensor, guidance: float) -> torch.Tensor:
    if guidance <= 1:
        return output
    without, with_prompt = output.chunk(2)
    return without + guidance * (with_prompt - without)


def _both(rows: Tensors, name: str, guidance: float) -> torch.Tensor:
    return rows[name] if guidance <= 1 else torch.cat([rows[f"negative_{name}"], rows[name]])


def stable_diffusion(
    pipeline: Any, scheduler: Any, guidance: float, x: torch.Tensor, t: torch.Tensor, rows: Tensors
) -> torch.Tensor:
    x = scheduler.scale_model_input(torch.cat([x, x]) if guidance > 1 else x, t)
    return _guided(pipeline.unet(x, t, encoder_hidden_states=_both(rows, "prompt_embeds", guidance)).sample, guidance)


def stable_diffusion_xl(
    pipeline: Any, scheduler: Any, guidance: float, x: torch.Tensor, t: torch.Tensor, rows: Tensors
) -> torch.Tensor:
    x = scheduler.scale_model_input(torch.cat([x, x]) if guidance > 1 else x, t)
    sizes = torch.tensor([[SIZE, SIZE, 0, 0, SIZE, SIZE]], dtype=torch.float32).repeat(len(x), 1)
    added = {"text_embeds": _both(rows, "pooled_prompt_embeds", guidance), "time_ids": sizes}
    embeds = _both(rows, "prompt_embeds", guidance)
    return _guided(pipeline.unet(x, t, encoder_hidden_states=embeds, added_cond_kwargs=added).sample, guidance)


def stable_diffusion_3(
    pipeline: Any, scheduler: Any, guidance: float, x: torch.Tensor, t: torch.Tensor, rows: Tensors
) -> torch.Tensor:
    x = torch.cat([x, x]) if guidance > 1 else x
    output = pipeline.transformer(
        hidden_states=x,
        timestep=t.expand(len(x)),
        encoder_hidden_states=_both(rows, "prompt_embeds", guidance),
        pooled_projections=_both(rows, "pooled_prompt_embeds", guidance),
    )
    return _guided(output.sample, guidance)


def flux(
    pipeline: Any, scheduler: Any, guidance: float, x: torch.Tensor, t: torch.Tensor, rows: Tensors
) -> torch.Tensor:
    side = SIZE // 4
    places = torch.stack(torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij"), dim=-1).reshape(-1, 2)
    output: torch.Tensor = pipeline.transformer(
        hidden_states=x,
        timestep=t.expand(len(x)) / 1000,
        guidance=torch.full([len(x)], guidance) if guidance else None,
        pooled_projections=rows["pooled_prompt_embeds"],
        encoder_hidden_states=rows["prompt_embeds"],
        txt_ids=torch.zeros(rows["prompt_embeds"].shape[1], 3),
        img_ids=torch.cat([torch.zeros(len(places), 1), places.float()], dim=1),
    ).sample
    return output


def unclip(
    pipeline: Any, scheduler: Any, guidance: float, x: torch.Tensor, t: torch.Tensor, rows: Tensors
) -> torch.Tensor:
    hidden, added = pipeline.text_proj(
        image_embeddings=rows["image_embeds"],
        prompt_embeds=_both(rows, "text_embeds", guidance),
        text_encoder_hidden_states=_both(rows, "text_hidden", guidance),
        do_classifier_free_guidance=True,
    )
    mask = _both(rows, "text_mask", guidance) > 0
    mask = torch.cat([torch.ones(len(mask), hidden.shape[1] - mask.shape[1], dtype=torch.bool), mask], dim=1)
    x = torch.cat([x, x])
    output = pipeline.decoder(x, t, hidden, class_labels=added, attention_mask=mask).sample
    return torch.cat([_guided(output[:, :3], guidance), output[BATCH:, 3:]], dim=1)


def unclips_own(
    pipeline: Any, latents: torch.Tensor, text: str, generators: list[torch.Generator], _: dict[str, Any]
) -> Any:
    return pipeline(
        [text] * BATCH,
        prior_num_inference_steps=2,
        decoder_num_inference_steps=STEPS,
        decoder_latents=latents,
        generator=generators,
        output_type="np",
    ).images


def stable_unclip(
    pipeline: Any, scheduler: Any, guidance: float, x: torch.Tensor, t: torch.Tensor, rows: Tensors
) -> torch.Tensor:
    x = scheduler.scale_model_input(torch.cat([x, x]), t)
    labels = torch.cat([torch.zeros_like(rows["class_labels"]), rows["class_labels"]])
    return _guided(pipeline.unet(x, t, _both(rows, "prompt_embeds", guidance), class_labels=labels).sample, guidance)


def stable_unclips_own(
    pipeline: Any, latents: torch.Tensor, text: str, generators: list[torch.Generator], negative: dict[str, Any]
) -> Any:
    return pipeline(
        [text] * BATCH,
        height=SIZE,
        width=SIZE,
        prior_num_inference_steps=2,
        num_inference_steps=STEPS,
        latents=latents,
        generator=generators,
        output_type="np",
        **negative,
    ).images


def qwen_image(
    pipeline: Any, scheduler: Any, guidance: float, x: torch.Tensor, t: torch.Tensor, rows: Tensors
) -> torch.Tensor:
    def output(prefix: str) -> torch.Tensor:
        made: torch.Tensor = pipeline.transformer(
            hidden_states=x,
            timestep=t.expand(len(x)) / 1000,
            encoder_hidden_states=rows[f"{prefix}prompt_embeds"],
            encoder_hidden_states_mask=rows[f"{prefix}prompt_embeds_mask"] > 0,
            img_shapes=[[(1, SIZE // 4, SIZE // 4)]] * len(x),
        ).sample
        return made

    with_prompt, without = output(""), output("negative_")
    guided = without + guidance * (with_prompt - without)
    return guided * (with_prompt.norm(dim=-1, keepdim=True) / guided.norm(dim=-1, keepdim=True))


def asked_of_qwen_image(pipeline: Any, text: str, negative: str | None, guidance: float) -> dict[str, Any]:
    """Its own embeddings of each text alone, padded to the most it reads."""
    asked: dict[str, Any] = {"true_cfg_scale": guidance}
    for prefix, said in (("", text), ("negative_", " " if negative is None else negative)):
        embeds, _ = pipeline.encode_prompt([said], max_sequence_length=512)
        padded = torch.zeros(BATCH, 512, embeds.shape[2])
        padded[:, : embeds.shape[1]] = embeds
        asked[f"{prefix}prompt_embeds"] = padded
        asked[f"{prefix}prompt_embeds_mask"] = (torch.arange(512) < embeds.shape[1]).long().expand(BATCH, -1)
    return asked


def asked_plainly(pipeline: Any, text: str, negative: str | None, guidance: float) -> dict[str, Any]:
    negatives = {} if negative is None else {"negative_prompt": [negative] * BATCH}
    return {"prompt": [text] * BATCH, "guidance_scale": guidance, **negatives}


def _flux2_once(pipeline: Any, guidance: float | None, x: torch.Tensor, t: torch.Tensor, embeds: Any) -> torch.Tensor:
    batch, _, height, width = x.shape
    output: torch.Tensor = pipeline.transformer(
        hidden_states=x.flatten(2).transpose(1, 2),
        timestep=t.expand(batch) / 1000,
        guidance=torch.full([batch], guidance) if guidance else None,
        encoder_hidden_states=embeds,
        txt_ids=torch.cartesian_prod(*map(torch.arange, (1, 1, 1, embeds.shape[1]))).expand(batch, -1, -1),
        img_ids=torch.cartesian_prod(*map(torch.arange, (1, height, width, 1))).expand(batch, -1, -1),
    ).sample
    return output.transpose(1, 2).reshape(x.shape)


def flux2(
    pipeline: Any, scheduler: Any, guidance: float, x: torch.Tensor, t: torch.Tensor, rows: Tensors
) -> torch.Tensor:
    return _flux2_once(pipeline, guidance, x, t, rows["prompt_embeds"])


def flux2_klein(
    pipeline: Any, scheduler: Any, guidance: float, x: torch.Tensor, t: torch.Tensor, rows: Tensors
) -> torch.Tensor:
    with_prompt = _flux2_once(pipeline, None, x, t, rows["prompt_embeds"])
    if not guidance:
        return with_prompt
    without = _flux2_once(pipeline, None, x, t, rows["negative_prompt_embeds"])
    return without + guidance * (with_prompt - without)


def shifted_by_size_and_steps(scheduler: Any, steps: int) -> None:
    mu = compute_empirical_mu((SIZE // 4) ** 2, steps)
    scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps), mu=mu)


def shifted_by_size(scheduler: Any, steps: int, *, from_sigmas: bool, largest: float) -> None:
    mu = calculate_shift((SIZE // 4) ** 2, 256, 4096, 0.5, largest)
    if from_sigmas:
        scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps), mu=mu)
    else:
        scheduler.set_timesteps(steps, mu=mu)
