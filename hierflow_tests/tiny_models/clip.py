"""A tiny CLIP, text and image in one model."""

from __future__ import annotations

from pathlib import Path

from hierflow_tests.tiny_models.parts import DIM, READS, SIZE, amplify, drawn, letters_tokenizer


def save_tiny_clip(folder: Path, *, seed: int = 0) -> Path:
    """Write the model to `folder`, as safetensors; returns `folder`."""
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor

    tokenizer = letters_tokenizer()
    tower = {"hidden_size": DIM, "intermediate_size": DIM, "num_attention_heads": 2, "num_hidden_layers": 1}
    text = {
        **tower,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": READS,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    vision = {**tower, "image_size": SIZE, "patch_size": SIZE // 2}
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=DIM))
    amplify(drawn({"model": model}, seed)["model"])
    model.save_pretrained(folder)
    images = CLIPImageProcessor(size={"shortest_edge": SIZE}, crop_size={"height": SIZE, "width": SIZE})
    CLIPProcessor(images, tokenizer).save_pretrained(folder)
    return folder
