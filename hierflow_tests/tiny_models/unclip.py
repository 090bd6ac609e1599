"""A tiny unCLIP, as Karlo is one, and the prior it has in common with Stable unCLIP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hierflow.models.former_pipelines import former_pipelines
from hierflow_tests.tiny_models.parts import DIM, READS, SIZE, amplify, clip_text, drawn, letters_tokenizer

_WIDTH, _TIME = 16, 32  # of the decoder's attention, and of its embedded timesteps


def prior() -> Any:
    """A prior from embeddings of texts to those of images, DIM long."""
    from diffusers import PriorTransformer

    return PriorTransformer(
        num_attention_heads=2, attention_head_dim=16, num_layers=1, embedding_dim=DIM, num_embeddings=READS
    )


def save_tiny_unclip(folder: Path, *, seed: int = 0) -> Path:
    """Write the model to `folder`, as safetensors; returns `folder`."""
    from diffusers import UnCLIPPipeline, UnCLIPScheduler, UNet2DConditionModel
    from diffusers.pipelines.deprecated.unclip.text_proj import UnCLIPTextProjModel

    tokenizer = letters_tokenizer()
    parts: dict[str, Any] = {
        "prior": prior(),
        "decoder": UNet2DConditionModel(
            sample_size=SIZE // 2,
            in_channels=3,
            out_channels=6,
            down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
            mid_block_type="UNetMidBlock2DSimpleCrossAttn",
            up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
            block_out_channels=(8, 16),
            layers_per_block=1,
            norm_num_groups=4,
            cross_attention_dim=_WIDTH,
            attention_head_dim=8,
            resnet_time_scale_shift="scale_shift",
            class_embed_type="identity",
        ),
        "text_encoder": clip_text(tokenizer, projected=True),
        "text_proj": UnCLIPTextProjModel(
            clip_embeddings_dim=DIM, time_embed_dim=_TIME, cross_attention_dim=_WIDTH, clip_extra_context_tokens=2
        ),
        "super_res_first": _super_resolution(),
        "super_res_last": _super_resolution(),
    }
    drawn(parts, seed)
    attention = [part for name, part in parts["decoder"].named_modules() if name.endswith(("add_v_proj", "to_out.0"))]
    amplify(parts["text_encoder"], parts["prior"], parts["text_proj"], *attention)
    with former_pipelines(["unclip"]):
        UnCLIPPipeline(
            **parts,
            tokenizer=tokenizer,
            prior_scheduler=UnCLIPScheduler(
                variance_type="fixed_small_log", prediction_type="sample", clip_sample_range=5.0
            ),
            decoder_scheduler=UnCLIPScheduler(variance_type="learned_range"),
            super_res_scheduler=UnCLIPScheduler(variance_type="fixed_small_log"),
        ).save_pretrained(folder, safe_serialization=True)
    return folder


def _super_resolution() -> Any:
    from diffusers import UNet2DModel

    return UNet2DModel(
        sample_size=SIZE,
        in_channels=6,
        out_channels=3,
        layers_per_block=1,
        block_out_channels=(8, 16),
        norm_num_groups=4,
        down_block_types=("ResnetDownsampleBlock2D", "ResnetDownsampleBlock2D"),
        up_block_types=("ResnetUpsampleBlock2D", "ResnetUpsampleBlock2D"),
        attention_head_dim=8,
    )
