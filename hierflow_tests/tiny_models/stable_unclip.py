"""A tiny Stable unCLIP."""

from __future__ import annotations

from pathlib import Path

from hierflow_tests.tiny_models.parts import DIM, amplify, autoencoder, clip_text, drawn, letters_tokenizer
from hierflow_tests.tiny_models.stable_diffusion import unet
from hierflow_tests.tiny_models.unclip import prior


def save_tiny_stable_unclip(folder: Path, *, seed: int = 0) -> Path:
    """Write the model to `folder`, as safetensors; returns `folder`."""
    from diffusers import DDIMScheduler, DDPMScheduler, StableUnCLIPPipeline
    from diffusers.pipelines.stable_diffusion import StableUnCLIPImageNormalizer

    tokenizer = letters_tokenizer()
    parts = {
        "prior_text_encoder": clip_text(tokenizer, projected=True),
        "prior": prior(),
        "image_normalizer": StableUnCLIPImageNormalizer(embedding_dim=DIM),
        "text_encoder": clip_text(tokenizer, projected=False),
        "unet": unet(class_embed_type="projection", projection_class_embeddings_input_dim=2 * DIM),
        "vae": autoencoder(),
    }
    drawn(parts, seed)
    amplify(parts["prior_text_encoder"], parts["prior"], parts["text_encoder"])
    StableUnCLIPPipeline(
        **parts,
        prior_tokenizer=tokenizer,
        prior_scheduler=DDPMScheduler(
            variance_type="fixed_small_log",
            prediction_type="sample",
            clip_sample_range=5.0,
            beta_schedule="squaredcos_cap_v2",
        ),
        image_noising_scheduler=DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
        tokenizer=tokenizer,
        scheduler=DDIMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            prediction_type="v_prediction",
            set_alpha_to_one=False,
            steps_offset=1,
        ),
    ).save_pretrained(folder, safe_serialization=True)
    return folder
