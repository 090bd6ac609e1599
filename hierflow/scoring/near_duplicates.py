"""Which images of a set are near-duplicates, though their prompts differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST = 1000
"""Pairs that are kept, the most alike: of N images that are all alike there are N (N - 1) / 2."""
WORKING_MEMORY = 16.0
"""MiB of distances at a time."""


@dataclass(frozen=True)
class NearDuplicates:
    """Pairs of images that look alike, the most alike first.

    Attributes:
        found: how many there are.
        pairs: int (P, 2), the closest, at most :data:`MOST`: row numbers of the images, the lower one first.
        similarity: float64 (P,), the cosine of each of these.
    """

    found: int
    pairs: NDArray[np.int64]
    similarity: NDArray[np.float64]


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
    from sklearn.metrics import pairwise_distances_chunked

    if len(embeddings) != len(prompts):
        raise ValueError(f"{len(embeddings)} embeddings for {len(prompts)} prompts")
    _, kind = np.unique(np.asarray(prompts, dtype=str), return_inverse=True)
    count, start = 0, 0
    pairs, distances = np.empty((0, 2), dtype=np.int64), np.empty(0)
    blocks = pairwise_distances_chunked(embeddings, metric="cosine", working_memory=WORKING_MEMORY)
    for block in blocks if prompts else ():
        near = np.triu(block <= 1 - threshold, start + 1) & (kind[start : start + len(block), None] != kind)
        flat = np.flatnonzero(near)
        closest = flat[np.argsort(block.ravel()[flat], kind="stable")[:MOST]]
        rows, columns = np.divmod(closest, len(embeddings))
        pairs = np.concatenate([pairs, np.column_stack([start + rows, columns])])
        distances = np.concatenate([distances, block[rows, columns]])
        order = np.argsort(distances, kind="stable")[:MOST]
        pairs, distances = pairs[order], distances[order]
        count, start = count + len(flat), start + len(block)
    return NearDuplicates(count, pairs, 1 - distances)
