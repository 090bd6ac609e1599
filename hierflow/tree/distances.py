"""Cosine distances between embeddings, with the cases defined that the formula leaves open."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import pdist

from hierflow.errors import InputError

Float = npt.NDArray[np.float64]


def checked_embeddings(embeddings: npt.ArrayLike) -> Float:
    """`embeddings` as a float64 array (N, D) with N, D >= 1 and finite entries.

    Raises:
        InputError: wrong rank, no rows or no columns, or a row that holds NaN or an infinity.
    """
    E = np.asarray(embeddings, dtype=np.float64)
    if E.ndim != 2 or 0 in E.shape:
        raise InputError(
            "is not the shape of an embedding matrix",
            field="embeddings",
            value=E.shape,
            remedy="give one row a prompt and at least one column",
        )
    bad = np.flatnonzero(~np.isfinite(E).all(axis=1))
    if bad.size:
        raise InputError(
            "holds NaN or infinity",
            field="embeddings",
            value=f"row {bad[0]}",
            remedy="check the text encoder's precision",
        )
    return E


def condensed_cosine_distances(E: Float) -> Float:
    """Pairwise 1 - cos in scipy's condensed order, (N * (N - 1) / 2,), in [0, 2].

    A zero vector has no direction: its distance to every other vector, zero or not, is 1.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        distances: Float = pdist(E, metric="cosine")
    distances[np.isnan(distances)] = 1.0  # in place: 10,000 prompts have 400 MB of distances
    return np.clip(distances, 0.0, 2.0, out=distances)
