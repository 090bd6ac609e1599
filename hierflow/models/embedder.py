"""What embeds the prompts for the tree, where that is not their conditioning."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hierflow.errors import InputError
from hierflow.models.adapter import Adapter
from hierflow.models.sentence_encoder import SentenceEncoder
from hierflow.models.sentence_model import locate_sentence_model
from hierflow.spec import EmbeddingSpec
from hierflow.tree.planted import CONDITIONING, Clustering

TEXT_ENCODER = "text_encoder"


class Embedder(Protocol):
    """A model that embeds texts. What it makes decides the tree, and nothing else."""

    @property
    def clustering(self) -> Clustering:
        """Its name and its fingerprint."""

    @property
    def dtype(self) -> str:
        """The precision it works in, as torch calls it."""

    def vectors(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """(N, D) of N texts; a text has the same whoever stands beside it."""


class TextEncoder:
    """The diffusion model's own text encoder."""

    def __init__(self, adapter: Adapter) -> None:
        self.clustering = Clustering(TEXT_ENCODER, adapter.text_fingerprint)
        self.dtype = adapter.runtime.dtype
        self.vectors = adapter.text_embeddings


def open_embedder(spec: EmbeddingSpec, base: Path, adapter: Adapter) -> Embedder | None:
    """The embedder that a document names, not loaded yet; None for the conditioning itself.

    Args:
        spec: the document's `embedding` section.
        base: the folder that relative model folders are relative to.
        adapter: of the diffusion model.

    Raises:
        InputError: the model cannot be found or used, or the text encoder would be no other choice.
    """
    if spec.source in (CONDITIONING.name, TEXT_ENCODER) and spec.revision is not None:
        raise InputError(
            f"goes with a model of its own, and not with {spec.source}",
            field="embedding.revision",
            value=spec.revision,
            remedy="leave it out",
        )
    if spec.source == CONDITIONING.name:
        return None
    if spec.source == TEXT_ENCODER:
        return TextEncoder(adapter)
    return SentenceEncoder(locate_sentence_model(spec, base), adapter.runtime)
