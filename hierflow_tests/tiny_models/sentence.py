"""A tiny sentence-transformers model, in the format that the library writes."""

from __future__ import annotations

import json
import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hierflow_tests.tiny_models.parts import DIM, amplify, drawn

WIDTH, LONGEST = DIM, 24
MODULES = ("Transformer", "Pooling", "Normalize")


def save_tiny_sentence(
    folder: Path,
    *,
    seed: int = 0,
    modules: Sequence[str] = MODULES,
    pooling: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    prompts: Mapping[str, Any] | None = None,
) -> Path:
    """Write a BERT of one layer that reads letters, and how it is put together; returns `folder`.

    Args:
        folder: where to.
        seed: of its weights.
        modules: their classes, as the library's releases up to 5 name them; a dotted name is taken as it is.
        pooling: how tokens are pooled; their mean by default.
        settings: of the transformer's module.
        prompts: the library's own settings.
    """
    from transformers import BertConfig, BertModel, BertTokenizer

    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens += [begin + letter for letter in string.ascii_letters + string.digits for begin in ("", "##")]
    tokenizer = BertTokenizer(vocab={token: i for i, token in enumerate(tokens)}, do_lower_case=False)
    config = BertConfig(
        vocab_size=len(tokens),
        hidden_size=WIDTH,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=WIDTH,
        max_position_embeddings=2 * LONGEST,
    )
    model = drawn({"model": BertModel(config)}, seed)["model"]
    amplify(model)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    paths = ["", *(f"{place}_{kind}" for place, kind in enumerate(modules[1:], start=1))]
    types = [kind if "." in kind else f"sentence_transformers.models.{kind}" for kind in modules]
    listed = [
        {"idx": place, "name": str(place), "path": path, "type": kind}
        for place, (path, kind) in enumerate(zip(paths, types, strict=True))
    ]
    _write(folder / "modules.json", listed)
    _write(
        folder / "sentence_bert_config.json", {"max_seq_length": LONGEST, "do_lower_case": False, **(settings or {})}
    )
    _write(folder / "config_sentence_transformers.json", prompts or {"prompts": {}, "default_prompt_name": None})
    for place, kind in enumerate(modules):
        if kind == "Pooling":
            pooled = {"word_embedding_dimension": WIDTH, **(pooling or {"pooling_mode_mean_tokens": True})}
            _write(folder / paths[place] / "config.json", pooled)
    return folder


def _write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), "utf-8")
