"""A tiny FLUX.1, with embedded guidance (dev) and without (schnell)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hierflow_tests.tiny_models.parts import (
    DIM,
    amplify,
    autoencoder,
    clip_text,
    drawn,
    letters_tokenizer,
    pieces_tokenizer,
    t5_text,
)


def save_tiny_flux(folder: Path, *, guided: bool = True, seed: int = 0) -> Path:
    """Write the model to `folder`, as safetensors; returns `folder`.

    Args:
        folder: where to.
        guided: whether the transformer takes its guidance as an input, as dev's does.
        seed: of the weights.
    """
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel

    tokenizer = letters_tokenizer()
    parts: dict[str, Any] = {
        "transformer": FluxTransformer2DModel(
            patch_size=1,
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=1,
            joint_attention_dim=DIM,
            pooled_projection_dim=DIM,
            axes_dims_rope=(4, 4, 8),
            guidance_embeds=guided,
        ),
        "vae": autoencoder(shift_factor=0.06, scaling_factor=1.5, use_quant_conv=False, use_post_quant_conv=False),
        "text_encoder": clip_text(tokenizer, projected=False),
        "text_encoder_2": t5_text(DIM),
    }
    drawn(parts, seed)
    amplify(parts["text_encoder"], parts["transformer"].context_embedder)
    FluxPipeline(
        **parts,
        tokenizer=tokenizer,
        tokenizer_2=pieces_tokenizer(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0 if guided else 1.0, use_dynamic_shifting=guided),
    ).save_pretrained(folder, safe_serialization=True)
    return folder
