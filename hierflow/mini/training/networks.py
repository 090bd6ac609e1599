"""The untrained parts: a Kandinsky-2.2-style model, scaled down to 64 x 64 pixels and 13 million parameters."""

from __future__ import annotations

from typing import Final

import torch
from diffusers import DDPMScheduler, PriorTransformer, UnCLIPScheduler, UNet2DConditionModel, VQModel
from diffusers.models.attention_processor import Attention, AttnAddedKVProcessor, AttnProcessor
from torch import nn
from transformers import (
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from hierflow.mini.catalogue.backgrounds import PICTURE_SIZE

EMBEDDING_SIZE: Final = 128
PROMPT_LENGTH: Final = 24
LATENT_CHANNELS: Final = 4
LATENT_SIZE: Final = PICTURE_SIZE // 4
TRAINING_STEPS: Final = 1000


def build_movq() -> VQModel:
    """Make the autoencoder: latents 4 x 16 x 16, used as continuous values, so the codebook is a formality.

    Plain group norm: the spatial norm of the real MoVQ is 1.8 times slower to train here and gains nothing.
    """
    return VQModel(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(16, 48, 96),
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        vq_embed_dim=LATENT_CHANNELS,
        num_vq_embeddings=16,
        norm_num_groups=8,
        norm_type="group",
    )


def build_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModelWithProjection:
    """Make CLIP's text half for the tokenizer's vocabulary."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=EMBEDDING_SIZE,
        intermediate_size=384,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=PROMPT_LENGTH,
        projection_dim=EMBEDDING_SIZE,
        hidden_act="gelu",
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModelWithProjection(config)


def build_image_encoder() -> CLIPVisionModelWithProjection:
    """Make CLIP's image half: a vision transformer over patches of 8 x 8 pixels."""
    config = CLIPVisionConfig(
        hidden_size=160,
        intermediate_size=480,
        num_hidden_layers=3,
        num_attention_heads=5,
        image_size=PICTURE_SIZE,
        patch_size=8,
        projection_dim=EMBEDDING_SIZE,
        hidden_act="gelu",
    )
    return CLIPVisionModelWithProjection(config)


def build_image_processor() -> CLIPImageProcessor:
    """Make the processor that brings pictures to 64 x 64 and -1..1."""
    return CLIPImageProcessor(
        size={"shortest_edge": PICTURE_SIZE},
        crop_size={"height": PICTURE_SIZE, "width": PICTURE_SIZE},
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )


def build_prior() -> PriorTransformer:
    """Make the network that predicts a picture's embedding from a prompt."""
    prior = PriorTransformer(
        num_attention_heads=4,
        attention_head_dim=32,
        num_layers=4,
        embedding_dim=EMBEDDING_SIZE,
        num_embeddings=PROMPT_LENGTH,
        additional_embeddings=4,
    )
    # diffusers starts both at zero, which would leave the tokens without order.
    nn.init.normal_(prior.positional_embedding, std=0.02)
    nn.init.normal_(prior.prd_embedding, std=0.02)
    return prior


def build_prior_scheduler() -> UnCLIPScheduler:
    """Make the prior's noise schedule; the network predicts the clean embedding."""
    return UnCLIPScheduler(
        variance_type="fixed_small_log",
        num_train_timesteps=TRAINING_STEPS,
        clip_sample=True,
        clip_sample_range=5.0,
        prediction_type="sample",
    )


def build_unet() -> UNet2DConditionModel:
    """Make the decoder's network: eight channels out as in Kandinsky 2.2, only four of them trained."""
    return UNet2DConditionModel(
        sample_size=LATENT_SIZE,
        in_channels=LATENT_CHANNELS,
        out_channels=2 * LATENT_CHANNELS,
        addition_embed_type="image",
        encoder_hid_dim=EMBEDDING_SIZE,
        encoder_hid_dim_type="image_proj",
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D", "SimpleCrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=("SimpleCrossAttnUpBlock2D", "SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        block_out_channels=(64, 128, 192),
        layers_per_block=1,
        cross_attention_dim=64,
        attention_head_dim=32,
        resnet_time_scale_shift="scale_shift",
    )


def build_decoder_scheduler() -> DDPMScheduler:
    """Make the decoder's noise schedule.

    The variance is fixed: the four variance channels are untrained, so a learned variance would read noise.
    """
    return DDPMScheduler(
        num_train_timesteps=TRAINING_STEPS,
        beta_schedule="linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type="epsilon",
        variance_type="fixed_small",
        clip_sample=False,
    )


def use_plain_attention(module: nn.Module) -> None:
    """Train with attention written out: the backward pass of the fused kernel is slow on CPUs."""
    for part in module.modules():
        if isinstance(part, Attention):
            added = part.added_kv_proj_dim is not None
            part.set_processor(AttnAddedKVProcessor() if added else AttnProcessor())


def zero_image_embedding(image_encoder: CLIPVisionModelWithProjection) -> torch.Tensor:
    """Return the embedding of an all-zero picture (1, 128): Kandinsky's stand-in for "no condition"."""
    with torch.no_grad():
        embedding: torch.Tensor = image_encoder(torch.zeros(1, 3, PICTURE_SIZE, PICTURE_SIZE)).image_embeds
    return embedding
