"""A tiny model that gives NaN for prompts with a certain letter, and for no others."""

from __future__ import annotations

import shutil
from pathlib import Path


def save_without_letter(
    model: Path,
    folder: Path,
    letter: str = "z",
    *,
    tokenizer: str = "prior/tokenizer",
    encoder: str = "prior/text_encoder",
) -> Path:
    """Copy a model that reads letters to `folder`, the letter's embedding being NaN; returns `folder`."""
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import AutoTokenizer

    shutil.copytree(model, folder)
    path = folder / encoder / "model.safetensors"
    weights = load_file(path)
    (name,) = [name for name in weights if name.endswith(("token_embedding.weight", "word_embeddings.weight"))]
    read = AutoTokenizer.from_pretrained(folder / tokenizer).get_vocab()
    rows = [place for token, place in read.items() if token.strip("#").removesuffix("</w>") == letter]
    weights[name][rows] = torch.nan
    save_file(weights, path, metadata={"format": "pt"})
    return folder
