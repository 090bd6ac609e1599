"""A tiny Kandinsky 2.2: a decoder and its prior."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from hierflow_tests.tiny_models.parts import DIM, READS, SIZE, amplify, clip_text, letters_tokenizer, randomise


def save_tiny_kandinsky(folder: Path, *, learned_variance: bool, seed: int = 0) -> Path:
    """Write a tiny Kandinsky 2.2 model to `folder`/decoder and `folder`/prior, as safetensors; returns `folder`.

    Args:
        folder: where to; made if need be.
        learned_variance: whether the scheduler takes the variance from the network, as Kandinsky's own does.
        seed: of the weights.
    """
    from diffusers import KandinskyV22Pipeline, KandinskyV22PriorPipeline

    generator = torch.Generator().manual_seed(seed)
    decoder, prior = _decoder_parts(learned_variance), _prior_parts()
    for part in (*decoder.values(), *prior.values()):
        if isinstance(part, torch.nn.Module):
            randomise(part.eval(), generator)
    amplify(decoder["unet"].encoder_hid_proj, decoder["unet"].add_embedding)
    amplify(prior["text_encoder"], prior["prior"])
    KandinskyV22Pipeline(**decoder).save_pretrained(folder / "decoder", safe_serialization=True)
    KandinskyV22PriorPipeline(**prior).save_pretrained(folder / "prior", safe_serialization=True)
    return folder


def _decoder_parts(learned_variance: bool) -> dict[str, Any]:
    from diffusers import DDPMScheduler, UNet2DConditionModel, VQModel

    unet = UNet2DConditionModel(
        sample_size=SIZE // 2,
        in_channels=4,
        out_channels=8,
        addition_embed_type="image",
        encoder_hid_dim=DIM,
        encoder_hid_dim_type="image_proj",
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=16,
        attention_head_dim=8,
        resnet_time_scale_shift="scale_shift",
    )
    movq = VQModel(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
        up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
        block_out_channels=(8, 8),
        layers_per_block=1,
        norm_num_groups=4,
        num_vq_embeddings=8,
        vq_embed_dim=4,
    )
    scheduler = DDPMScheduler(
        beta_schedule="linear",
        beta_start=0.00085,
        beta_end=0.012,
        clip_sample=False,
        variance_type="learned_range" if learned_variance else "fixed_small",
    )
    return {"unet": unet, "movq": movq, "scheduler": scheduler}


def _prior_parts() -> dict[str, Any]:
    from diffusers import PriorTransformer, UnCLIPScheduler
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        CLIPVisionModelWithProjection,
    )

    tokenizer = letters_tokenizer()
    vision = CLIPVisionConfig(
        image_size=SIZE,
        patch_size=8,
        hidden_size=DIM,
        projection_dim=DIM,
        intermediate_size=DIM,
        num_attention_heads=2,
        num_hidden_layers=1,
    )
    return {
        "prior": PriorTransformer(
            num_attention_heads=2, attention_head_dim=16, num_layers=1, embedding_dim=DIM, num_embeddings=READS
        ),
        "image_encoder": CLIPVisionModelWithProjection(vision),
        "text_encoder": clip_text(tokenizer, projected=True),
        "tokenizer": tokenizer,
        "scheduler": UnCLIPScheduler(
            variance_type="fixed_small_log", prediction_type="sample", num_train_timesteps=1000, clip_sample_range=5.0
        ),
        "image_processor": CLIPImageProcessor(
            size={"shortest_edge": SIZE}, crop_size={"height": SIZE, "width": SIZE}
        ),
    }
