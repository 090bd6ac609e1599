"""What embeds the prompts for the tree, where that is not their conditioning."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hierflow.models.adapter import Adapter
from hierflow.spec import EmbeddingSpec
from hierflow.tree.planted import Clustering


class Embedder(Protocol):
    """A model that embeds texts. What it makes decides the tree, and nothing else."""

    @property
    def clustering(self) -> Clustering:
        """Its name and its fingerprint."""

    def vectors(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """(N, D) of N texts; a text has the same whoever stands beside it."""


def open_embedder(spec: EmbeddingSpec, base: Path, adapter: Adapter) -> Embedder | None:
    """The embedder that a document names, not loaded yet; None for the conditioning itself.

    Args:
        spec: the document's `embedding` section.
        base: the folder that relative model folders are relative to.
        adapter: of the diffusion model.

    Raises:
        InputError: the model cannot be found or used, or has no text encoder to cluster by.
    """
    return None
