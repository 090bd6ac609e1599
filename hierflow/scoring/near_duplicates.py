"""Which images of a set are near-duplicates, though their prompts differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_ROWS = 512
"""Rows compared with all others at a time: 2,000 images are four blocks of 8 MB."""
_NONE = np.empty(0, dtype=np.int64)


MOST = 1000
"""Pairs that are kept, the most alike: of N images that are all alike there are N (N - 1) / 2."""


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
    if len(embeddings) != len(prompts):
        raise ValueError(f"{len(embeddings)} embeddings for {len(prompts)} prompts")
    _, kind = np.unique(np.asarray(prompts, dtype=str), return_inverse=True)
    found, pairs, similarity = 0, np.empty((0, 2), dtype=np.int64), np.empty(0)
    for start in range(0, len(embeddings), _ROWS):
        block = embeddings[start : start + _ROWS]
        cosines = block @ embeddings[start:].T  # of rows before `start` the block before has told
        near = np.triu(cosines >= threshold, 1) & (kind[start : start + len(block), None] != kind[None, start:])
        found += int(np.count_nonzero(near))
        here = _highest(np.where(near, cosines, -np.inf).ravel(), int(np.count_nonzero(near)))
        rows, columns = np.divmod(here, cosines.shape[1])
        pairs = np.concatenate([pairs, np.column_stack([rows, columns]) + start])
        similarity = np.concatenate([similarity, cosines[rows, columns]])
        closest = np.lexsort((pairs[:, 1], pairs[:, 0], -similarity))[:MOST]
        pairs, similarity = pairs[closest], similarity[closest]
    return NearDuplicates(found, pairs, similarity)


def _highest(values: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """The places of the `count` highest values, :data:`MOST` at most, in any order."""
    kept = min(count, MOST)
    places: NDArray[np.int64] = np.argpartition(values, len(values) - kept)[len(values) - kept :] if kept else _NONE
    return places
