"""A tiny Stable Diffusion 3, with and without T5."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hierflow_tests.tiny_models.parts import (
    DIM,
    SIZE,
    amplify,
    autoencoder,
    clip_text,
    drawn,
    letters_tokenizer,
    pieces_tokenizer,
    t5_text,
)


def save_tiny_stable_diffusion_3(folder: Path, *, with_t5: bool = True, dynamic: bool = False, seed: int = 0) -> Path:
    """Write the model to `folder`, as safetensors; returns `folder`.

    Args:
        folder: where to.
        with_t5: whether it has its third text encoder.
        dynamic: whether its schedule depends on the size of the image, as that of SD 3.5 medium's makers may.
        seed: of the weights.
    """
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline

    tokenizer = letters_tokenizer()
    parts: dict[str, Any] = {
        "transformer": SD3Transformer2DModel(
            sample_size=SIZE // 2,
            patch_size=2,
            in_channels=4,
            out_channels=4,
            num_layers=2,
            attention_head_dim=8,
            num_attention_heads=2,
            joint_attention_dim=2 * DIM,
            caption_projection_dim=16,
            pooled_projection_dim=2 * DIM,
            pos_embed_max_size=8,
        ),
        "vae": autoencoder(shift_factor=0.06, scaling_factor=1.5, use_quant_conv=False, use_post_quant_conv=False),
        "text_encoder": clip_text(tokenizer, projected=True),
        "text_encoder_2": clip_text(tokenizer, projected=True),
        "text_encoder_3": t5_text(2 * DIM) if with_t5 else None,
    }
    drawn(parts, seed)
    amplify(parts["text_encoder"], parts["text_encoder_2"], parts["transformer"].context_embedder)
    StableDiffusion3Pipeline(
        **parts,
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        tokenizer_3=pieces_tokenizer() if with_t5 else None,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=dynamic),
    ).save_pretrained(folder, safe_serialization=True)
    return folder
