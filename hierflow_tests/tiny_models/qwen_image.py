"""A tiny Qwen-Image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hierflow_tests.tiny_models.parts import DIM, amplify, drawn

# The pipeline drops as many tokens as its instructions have, so each of their words has to be one.
_AFTER_A_SPACE = (
    "the image by detailing color shape size texture quantity text spatial relationships of objects and background"
)
_WORDS = ["system", "Describe", "user", "assistant", *(f" {word}" for word in _AFTER_A_SPACE.split(" "))]


def bytes_tokenizer(words: list[str]) -> Any:
    """A Qwen tokenizer that knows single bytes, the marks of a conversation, and `words`."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import Qwen2Tokenizer

    tokens = [*sorted(ByteLevel.alphabet()), "<|endoftext|>"]
    tokenizer = Qwen2Tokenizer(vocab={token: i for i, token in enumerate(tokens)}, merges=[], model_max_length=4096)
    tokenizer.add_tokens(["<|im_start|>", "<|im_end|>"], special_tokens=True)
    tokenizer.add_tokens(words)
    return tokenizer


def save_tiny_qwen_image(folder: Path, *, seed: int = 0) -> Path:
    """Write the model to `folder`, as safetensors; returns `folder`."""
    from diffusers import (
        AutoencoderKLQwenImage,
        FlowMatchEulerDiscreteScheduler,
        QwenImagePipeline,
        QwenImageTransformer2DModel,
    )

    tokenizer = bytes_tokenizer(_WORDS)
    parts: dict[str, Any] = {
        "transformer": QwenImageTransformer2DModel(
            patch_size=2,
            in_channels=16,
            out_channels=4,
            num_layers=2,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=DIM,
            guidance_embeds=False,
            axes_dims_rope=(8, 4, 4),
        ),
        "vae": AutoencoderKLQwenImage(
            base_dim=8,
            z_dim=4,
            dim_mult=[1, 2],
            num_res_blocks=1,
            temperal_downsample=[False],
            latents_mean=[0.1, -0.1, 0.2, 0.0],
            latents_std=[1.5, 0.8, 1.0, 1.2],
        ),
        "text_encoder": _language_model(len(tokenizer)),
    }
    drawn(parts, seed)
    amplify(parts["text_encoder"].model.language_model, parts["transformer"].txt_in)
    QwenImagePipeline(
        **parts,
        tokenizer=tokenizer,
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift_terminal=0.02),
    ).save_pretrained(folder, safe_serialization=True)
    return folder


def _language_model(vocabulary: int) -> Any:
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    text = {
        "vocab_size": vocabulary,
        "hidden_size": DIM,
        "intermediate_size": DIM,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 2048,
        "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0},
        "bos_token_id": None,
        "eos_token_id": None,
    }
    vision = {
        "depth": 1,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_heads": 2,
        "out_hidden_size": DIM,
        "fullatt_block_indexes": [0],
    }
    return Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(text_config=text, vision_config=vision))
