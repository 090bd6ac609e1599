"""A tiny FLUX.2, klein and dev."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hierflow_tests.tiny_models.parts import DIM, amplify, drawn
from hierflow_tests.tiny_models.qwen_image import bytes_tokenizer

_WIDTH = 16  # of the language model, three of whose layers are taken
_CONVERSATION = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.content is string %}{{ message.content }}"
    "{% else %}{% for part in message.content %}{{ part.text }}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def save_tiny_flux2_klein(folder: Path, *, distilled: bool = False, seed: int = 0) -> Path:
    """Write a klein to `folder`, as safetensors; returns `folder`.

    Args:
        folder: where to.
        distilled: whether it says that it does without guidance.
        seed: of the weights.
    """
    from diffusers import Flux2KleinPipeline
    from transformers import Qwen3Config, Qwen3ForCausalLM

    tokenizer = _conversing_tokenizer()
    encoder = Qwen3ForCausalLM(Qwen3Config(**_language(len(tokenizer), 27)))
    parts = _parts(encoder, guided=False, seed=seed)
    Flux2KleinPipeline(**parts, tokenizer=tokenizer, is_distilled=distilled).save_pretrained(folder)
    return folder


def save_tiny_flux2(folder: Path, *, seed: int = 0) -> Path:
    """Write a dev to `folder`, as safetensors; returns `folder`.

    A tokenizer stands in for its processor, of which text needs nothing else, since that one wants torchvision.
    """
    from diffusers import Flux2Pipeline
    from transformers import Mistral3Config, Mistral3ForConditionalGeneration

    tokenizer = _conversing_tokenizer()
    vision = {
        "model_type": "pixtral",
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "image_size": 28,
        "patch_size": 14,
    }
    text = {"model_type": "mistral", **_language(len(tokenizer), 30)}
    encoder = Mistral3ForConditionalGeneration(Mistral3Config(text_config=text, vision_config=vision))
    parts = _parts(encoder, guided=True, seed=seed)
    Flux2Pipeline(**parts, tokenizer=tokenizer).save_pretrained(folder)
    return folder


def _conversing_tokenizer() -> Any:
    tokenizer = bytes_tokenizer(["system", "user"])
    tokenizer.chat_template = _CONVERSATION
    return tokenizer


def _language(vocabulary: int, layers: int) -> dict[str, Any]:
    return {
        "vocab_size": vocabulary,
        "hidden_size": _WIDTH,
        "intermediate_size": _WIDTH,
        "num_hidden_layers": layers,
        "num_attention_heads": 1,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "max_position_embeddings": 1024,
        "bos_token_id": None,
        "eos_token_id": None,
    }


def _parts(encoder: Any, *, guided: bool, seed: int) -> dict[str, Any]:
    import torch
    from diffusers import AutoencoderKLFlux2, FlowMatchEulerDiscreteScheduler, Flux2Transformer2DModel

    parts: dict[str, Any] = {
        "transformer": Flux2Transformer2DModel(
            patch_size=1,
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=1,
            joint_attention_dim=3 * _WIDTH,
            timestep_guidance_channels=DIM,
            axes_dims_rope=(4, 4, 4, 4),
            guidance_embeds=guided,
        ),
        "vae": AutoencoderKLFlux2(
            block_out_channels=(8, 8),
            norm_num_groups=4,
            down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
            up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
            layers_per_block=1,
            latent_channels=4,
            use_quant_conv=False,
            use_post_quant_conv=False,
        ),
        "text_encoder": encoder,
    }
    drawn(parts, seed)
    attention = parts["transformer"].transformer_blocks[0].attn
    amplify(encoder.get_input_embeddings(), parts["transformer"].context_embedder)
    amplify(attention.add_v_proj, attention.to_out, parts["transformer"].proj_out)
    generator = torch.Generator().manual_seed(seed)
    parts["vae"].bn.running_mean.copy_(torch.randn(16, generator=generator))
    parts["vae"].bn.running_var.copy_(torch.rand(16, generator=generator) + 0.5)
    return {**parts, "scheduler": FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)}
