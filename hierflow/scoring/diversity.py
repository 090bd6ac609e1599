"""How much the images of a set differ from each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def mean_pairwise_similarity(embeddings: NDArray[np.float64]) -> float:
    """The mean cosine of all pairs of different images, in [-1, 1]: the paper's measure with CLIP's embeddings.

    Lower is more diverse.

    Args:
        embeddings: (N, D), a row an image, N at least 2; lengths have no say.

    Raises:
        ValueError: there are fewer than two images, or a row has no direction.
    """
    rows = _directions(embeddings)
    count = len(rows)
    if count < 2:
        raise ValueError(f"similarity is between at least two images, not {count}")
    total = rows.sum(axis=0)  # (sum of rows)^2 is the sum over all pairs, those of a row with itself included
    return float((total @ total - count) / (count * (count - 1)))


def vendi_score(embeddings: NDArray[np.float64]) -> float:
    """How many different images there are in effect: exp of the entropy of the eigenvalues of K / N.

    K is the matrix of cosines (Friedman and Dieng, TMLR 2023, arXiv:2210.02410). 1 where all images are alike, N
    where all are orthogonal, never above the embedding's dimension.

    Args:
        embeddings: (N, D), a row an image, N at least 1; lengths have no say.

    Raises:
        ValueError: there is no image, or a row has no direction.
    """
    rows = _directions(embeddings)
    if not len(rows):
        raise ValueError("diversity is of at least one image")
    count, dimensions = rows.shape
    gram = rows @ rows.T if count <= dimensions else rows.T @ rows  # the same eigenvalues, but for zeros
    weights = np.linalg.eigvalsh(gram / count)
    weights = weights[weights > 0.0]
    return float(np.exp(-(weights * np.log(weights)).sum()))


def _directions(embeddings: NDArray[np.float64]) -> NDArray[np.float64]:
    rows = np.asarray(embeddings, dtype=np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > 0.0)).all():
        raise ValueError("an embedding is zero or not finite, and has no direction")
    directions: NDArray[np.float64] = rows / lengths
    return directions
