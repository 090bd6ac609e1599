"""Which images of a set are near-duplicates, though their prompts differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_ROWS = 512
"""Rows compared with all others at a time: 2,000 images are four blocks of 4 MB."""


@dataclass(frozen=True)
class NearDuplicates:
    """Pairs of images that look alike, the most alike first.

    Attributes:
        pairs: int (P, 2), row numbers of the images, the lower one first.
        similarity: float64 (P,), the cosine of each pair.
    """

    pairs: NDArray[np.int64]
    similarity: NDArray[np.float64]

    @property
    def images(self) -> NDArray[np.int64]:
        """The rows that are in some pair, ascending."""
        rows: NDArray[np.int64] = np.unique(self.pairs)
        return rows


def near_duplicates(embeddings: NDArray[np.float64], prompts: Sequence[str], threshold: float) -> NearDuplicates:
    """The pairs of images with a cosine of at least `threshold` that were made for different prompts.

    Args:
        embeddings: (N, D), a row an image, each of length 1.
        prompts: N, what tells prompts apart: their texts or ids. Images of one prompt are no duplicates.
        threshold: in (-1, 1]. What is near depends on the embedding: images of one template are much closer to each
            other than images of different kinds.

    Raises:
        ValueError: the numbers of embeddings and prompts differ.
    """
    if len(embeddings) != len(prompts):
        raise ValueError(f"{len(embeddings)} embeddings for {len(prompts)} prompts")
    _, kind = np.unique(np.asarray(prompts, dtype=str), return_inverse=True)
    found_pairs, found_cosines = [np.empty((0, 2), dtype=np.int64)], [np.empty(0)]
    for start in range(0, len(embeddings), _ROWS):
        block = embeddings[start : start + _ROWS]
        cosines = block @ embeddings[start:].T  # of rows before `start` the block before has told
        near = np.triu(cosines >= threshold, 1) & (kind[start : start + len(block), None] != kind[None, start:])
        rows, columns = np.nonzero(near)
        found_pairs.append(np.column_stack([rows, columns]) + start)
        found_cosines.append(cosines[rows, columns])
    pairs, cosines = np.concatenate(found_pairs), np.concatenate(found_cosines)
    order = np.argsort(-cosines, kind="stable")
    return NearDuplicates(pairs[order], cosines[order])
