"""Texts to vectors by a sentence-transformers model, with transformers alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hierflow.models.batches import padded_batches
from hierflow.models.quiet import quiet_libraries
from hierflow.models.runtime import FIXED_BATCH, Runtime
from hierflow.models.sentence_model import SentenceModel
from hierflow.tree.planted import Clustering

if TYPE_CHECKING:
    import torch


_ENDLESS = 1 << 30
"""Tokenizers without a limit name a number beyond it."""


class SentenceEncoder:
    """An :class:`~hierflow.models.embedder.Embedder`.

    It works in float32, and is in memory only while it does. Texts of equal length stand in padded batches of one
    size, so that nothing is padded within a text, and a text has the same bits whoever stands beside it.

    Args:
        model: where it lies and how it is put together.
        runtime: whose device it works on.
    """

    dtype = "float32"

    def __init__(self, model: SentenceModel, runtime: Runtime) -> None:
        self._model, self._device = model, runtime.device
        self.clustering = Clustering(model.name, model.fingerprint)

    def vectors(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """(N, D) of N texts."""
        import torch
        from transformers import AutoModel, AutoTokenizer

        folder = self._model.folder / self._model.transformer
        local = {"local_files_only": True, "trust_remote_code": False}
        found: dict[int, torch.Tensor] = {}
        with quiet_libraries(), torch.no_grad():
            tokenizer = AutoTokenizer.from_pretrained(folder, **local)
            network = AutoModel.from_pretrained(
                folder, dtype=getattr(torch, self.dtype), use_safetensors=True, **local
            )
            network = network.eval().to(self._device)
            tokens = self._tokens(tokenizer, network.config, texts)
            by_length: dict[int, list[int]] = {}
            for text, ids in enumerate(tokens["input_ids"]):
                by_length.setdefault(len(ids), []).append(text)
            for alike in by_length.values():
                for rows, live in padded_batches(len(alike), FIXED_BATCH):
                    batch = {
                        name: torch.tensor([ids[alike[row]] for row in rows], device=self._device)
                        for name, ids in tokens.items()
                    }
                    pooled = self._pooled(network(**batch).last_hidden_state).cpu()
                    found |= {alike[row]: vector for row, vector in zip(rows[:live], pooled, strict=False)}
        return torch.stack([found[text] for text in range(len(texts))]).double().numpy()

    def _tokens(self, tokenizer: Any, config: Any, texts: Sequence[str]) -> dict[str, list[list[int]]]:
        model = self._model
        shown = [model.prefix + (text.lower() if model.is_lower else text) for text in texts]
        positions = getattr(config, "max_position_embeddings", _ENDLESS)
        longest = model.longest or min(tokenizer.model_max_length, positions)
        read = {"truncation": True, "max_length": longest} if 0 < longest < _ENDLESS else {}
        return dict(tokenizer(shown, **read))

    def _pooled(self, hidden: torch.Tensor) -> torch.Tensor:
        """(B, D) of the hidden states (B, L, E) of texts without padding."""
        import torch
        from torch.nn import functional

        ways = {
            "cls": lambda: hidden[:, 0],
            "max": lambda: hidden.max(dim=1).values,
            "mean": lambda: hidden.mean(dim=1),
            "lasttoken": lambda: hidden[:, -1],
        }
        pooled = torch.cat([ways[mode]() for mode in self._model.poolings], dim=1)
        return functional.normalize(pooled, dim=1) if self._model.is_scaled else pooled
