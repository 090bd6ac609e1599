"""What the tiny models are put together from, and how their weights are drawn."""

from __future__ import annotations

import string
from typing import Any

import torch

DIM = 32
"""Length of the image and text embeddings."""
SIZE = 16
"""Pixels of an image's side; its latents are 4 x 8 x 8."""
READS = 24
"""Tokens the CLIP text encoders read."""
LOUD = 2.0
"""By how much the weights are raised that carry the prompt."""


def letters_tokenizer() -> Any:
    """A CLIP tokenizer that knows single characters only."""
    from transformers import CLIPTokenizer

    tokens = [c + end for c in string.ascii_lowercase + string.digits for end in ("", "</w>")]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={token: i for i, token in enumerate(tokens)}, merges=[], model_max_length=READS)


def pieces_tokenizer() -> Any:
    """A T5 tokenizer that knows single characters only."""
    from transformers import T5TokenizerFast

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -1.0)]
    pieces += [(character, -2.0) for character in string.ascii_lowercase + string.digits]
    return T5TokenizerFast(vocab=pieces, extra_ids=0, model_max_length=512)


def clip_text(tokenizer: Any, *, projected: bool) -> torch.nn.Module:
    """A CLIP text encoder for `tokenizer`."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=READS,
        hidden_size=DIM,
        projection_dim=DIM,
        intermediate_size=DIM,
        num_attention_heads=2,
        num_hidden_layers=1,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModelWithProjection(config) if projected else CLIPTextModel(config)


def t5_text(dim: int) -> torch.nn.Module:
    """A T5 encoder of width `dim`."""
    from transformers import T5Config, T5EncoderModel

    return T5EncoderModel(T5Config(vocab_size=64, d_model=dim, d_kv=8, d_ff=DIM, num_layers=1, num_heads=2))


def autoencoder(**config: Any) -> torch.nn.Module:
    """A KL autoencoder whose latents are half as wide and high as its images."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(8, 8),
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
        up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
        latent_channels=4,
        **config,
    )


def drawn(parts: dict[str, Any], seed: int) -> dict[str, Any]:
    """`parts` with every weight drawn anew, and put in evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    for part in parts.values():
        if isinstance(part, torch.nn.Module):
            randomise(part.eval(), generator)
    return parts


def randomise(network: torch.nn.Module, generator: torch.Generator) -> None:
    """Draw every weight anew: matrices so that magnitudes are kept, vectors small, gains around one."""
    for name, weight in network.named_parameters():
        noise = torch.randn(weight.shape, generator=generator)
        if weight.ndim > 1:
            noise *= weight[0].numel() ** -0.5
        else:
            noise = noise * 0.2 + (1.0 if name.endswith("weight") or name.endswith("clip_std") else 0.0)
        weight.data.copy_(noise)


def amplify(*parts: torch.nn.Module) -> None:
    """Make what depends on the prompt loud, so that prompts lie apart and pictures differ."""
    for part in parts:
        for weight in part.parameters():
            if weight.ndim > 1:
                weight.data *= LOUD
