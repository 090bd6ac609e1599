"""A tiny Stable Diffusion 1.5, with the scheduler that it comes with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hierflow_tests.tiny_models.parts import DIM, SIZE, amplify, autoencoder, clip_text, drawn, letters_tokenizer


def unet(**config: Any) -> Any:
    """A UNet with cross attention on sequences of width DIM."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        **{
            "sample_size": SIZE // 2,
            "in_channels": 4,
            "out_channels": 4,
            "block_out_channels": (8, 16),
            "layers_per_block": 1,
            "norm_num_groups": 4,
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
            "cross_attention_dim": DIM,
            "attention_head_dim": 2,
            **config,
        }
    )


def save_tiny_stable_diffusion(folder: Path, *, offended: bool | None = None, seed: int = 0) -> Path:
    """Write the model to `folder`, as safetensors; returns `folder`.

    Args:
        folder: where to.
        offended: whether its safety checker takes offence at everything, or at nothing; None for no checker.
        seed: of the weights.
    """
    from diffusers import PNDMScheduler, StableDiffusionPipeline

    tokenizer = letters_tokenizer()
    scheduler = PNDMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        skip_prk_steps=True,
        steps_offset=1,
        set_alpha_to_one=False,
    )
    parts = {"unet": unet(), "vae": autoencoder(), "text_encoder": clip_text(tokenizer, projected=False)}
    amplify(drawn(parts, seed)["text_encoder"])
    StableDiffusionPipeline(
        **parts,
        tokenizer=tokenizer,
        scheduler=scheduler,
        **_safety(offended),
    ).save_pretrained(folder, safe_serialization=True)
    return folder


def _safety(offended: bool | None) -> dict[str, Any]:
    if offended is None:
        return {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPImageProcessor

    tower = {"hidden_size": DIM, "intermediate_size": DIM, "num_attention_heads": 2, "num_hidden_layers": 1}
    vision = {**tower, "image_size": SIZE, "patch_size": 8}
    checker = StableDiffusionSafetyChecker(CLIPConfig(vision_config=vision, text_config=tower, projection_dim=DIM))
    for thresholds in (checker.concept_embeds_weights, checker.special_care_embeds_weights):
        thresholds.data.fill_(-2.0 if offended else 2.0)  # cosines lie between
    extractor = CLIPImageProcessor(size={"shortest_edge": SIZE}, crop_size={"height": SIZE, "width": SIZE})
    return {"safety_checker": checker, "feature_extractor": extractor}
