"""A tiny Stable Diffusion XL."""

from __future__ import annotations

from pathlib import Path

from hierflow_tests.tiny_models.parts import DIM, amplify, autoencoder, clip_text, drawn, letters_tokenizer
from hierflow_tests.tiny_models.stable_diffusion import unet

_TIME = 8  # width of each of the six embedded sizes


def save_tiny_stable_diffusion_xl(folder: Path, *, seed: int = 0) -> Path:
    """Write the model to `folder`, as safetensors; returns `folder`."""
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline

    tokenizer = letters_tokenizer()
    parts = {
        "unet": unet(
            cross_attention_dim=2 * DIM,
            addition_embed_type="text_time",
            addition_time_embed_dim=_TIME,
            projection_class_embeddings_input_dim=6 * _TIME + DIM,
            transformer_layers_per_block=1,
            use_linear_projection=True,
        ),
        "vae": autoencoder(),
        "text_encoder": clip_text(tokenizer, projected=False),
        "text_encoder_2": clip_text(tokenizer, projected=True),
    }
    drawn(parts, seed)
    amplify(parts["text_encoder"], parts["text_encoder_2"])
    StableDiffusionXLPipeline(
        **parts,
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        scheduler=EulerDiscreteScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            steps_offset=1,
            timestep_spacing="leading",
        ),
        add_watermarker=False,
    ).save_pretrained(folder, safe_serialization=True)
    return folder
