"""Tiny randomly initialised models in diffusers format: real code paths, milliseconds a step.

An untrained network hides mistakes: some of its layers start at zero or constant, so that its output would not
react to what it is given, and every comparison of outputs would hold. Here such weights are randomised, and
`models/test_tiny_models.py` shows that the output reacts.
"""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import pytest
import torch

DIM = 32
"""Length of the image and text embeddings."""
SIZE = 16
"""Pixels of an image's side; its latents are 4 x 8 x 8."""
LOUD = 2.0
"""By how much the weights are raised that carry the prompt."""


@pytest.fixture(scope="session", params=[True, False], ids=["learned-variance", "fixed-variance"])
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model's folder, once with and once without learned variance."""
    return save_tiny_kandinsky(tmp_path_factory.mktemp("tiny"), learned_variance=request.param)


@pytest.fixture(scope="session")
def tiny_learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model's folder, with learned variance as Kandinsky's own has it."""
    return save_tiny_kandinsky(tmp_path_factory.mktemp("tiny"), learned_variance=True)


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
            _randomise(part.eval(), generator)
    _amplify(decoder["unet"].encoder_hid_proj, decoder["unet"].add_embedding)
    _amplify(prior["text_encoder"], prior["prior"])
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
        CLIPTextConfig,
        CLIPTextModelWithProjection,
        CLIPVisionConfig,
        CLIPVisionModelWithProjection,
    )

    tokenizer = _letters_tokenizer(length=24)
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=24,
        hidden_size=DIM,
        projection_dim=DIM,
        intermediate_size=DIM,
        num_attention_heads=2,
        num_hidden_layers=1,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
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
            num_attention_heads=2, attention_head_dim=16, num_layers=1, embedding_dim=DIM, num_embeddings=24
        ),
        "image_encoder": CLIPVisionModelWithProjection(vision),
        "text_encoder": CLIPTextModelWithProjection(text),
        "tokenizer": tokenizer,
        "scheduler": UnCLIPScheduler(
            variance_type="fixed_small_log", prediction_type="sample", num_train_timesteps=1000, clip_sample_range=5.0
        ),
        "image_processor": CLIPImageProcessor(
            size={"shortest_edge": SIZE}, crop_size={"height": SIZE, "width": SIZE}
        ),
    }


def _letters_tokenizer(length: int) -> Any:
    """A CLIP tokenizer that knows single characters only."""
    from transformers import CLIPTokenizer

    tokens = [c + end for c in string.ascii_lowercase + string.digits for end in ("", "</w>")]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={token: i for i, token in enumerate(tokens)}, merges=[], model_max_length=length)


def _randomise(network: torch.nn.Module, generator: torch.Generator) -> None:
    """Draw every weight anew: matrices so that magnitudes are kept, vectors small, gains around one."""
    for name, weight in network.named_parameters():
        noise = torch.randn(weight.shape, generator=generator)
        if weight.ndim > 1:
            noise *= weight[0].numel() ** -0.5
        else:
            noise = noise * 0.2 + (1.0 if name.endswith("weight") or name.endswith("clip_std") else 0.0)
        weight.data.copy_(noise)


def _amplify(*parts: torch.nn.Module) -> None:
    """Make what depends on the prompt loud, so that prompts lie apart and pictures differ."""
    for part in parts:
        for weight in part.parameters():
            if weight.ndim > 1:
                weight.data *= LOUD
