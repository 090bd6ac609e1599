"""From embeddings to a sequence of merges.

`ward` and `average` are scipy's, on cosine distances; the paper's Table 1 was made with `ward`. `centroid` is
the paper's Eq. 3-5: the distance between two clusters is the cosine distance between the means of their
members' embeddings.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.cluster import hierarchy

from hierflow.tree.distances import Float, condensed_cosine_distances

Merges = tuple[npt.NDArray[np.int64], Float]
"""The two children of every merge (N - 1, 2), numbered as scipy does, and the heights (N - 1,), ascending."""

BLOCK_ROWS = 4096
"""Rows of the Gram matrix per product: OpenBLAS crashes on ``E @ E.T`` of more than about 15,000 rows."""


def ward(E: Float) -> Merges:
    """Ward's minimum-variance criterion on cosine distances (scipy)."""
    return _from_scipy(hierarchy.linkage(condensed_cosine_distances(E), method="ward"))


def average(E: Float) -> Merges:
    """Mean pairwise cosine distance (UPGMA, scipy)."""
    return _from_scipy(hierarchy.linkage(condensed_cosine_distances(E), method="average"))


def centroid(E: Float) -> Merges:
    """The paper's Eq. 3-5: always merge the two clusters whose mean embeddings are closest in cosine distance.

    A cluster's mean and the sum of its members point the same way, and sums add up: the Gram matrix of sums
    gives every distance, and a merge is one row addition. Memory is O(N^2).

    The heights of Eq. 4 are not monotone (a mean may lie closer to a third cluster than its parts did to each
    other), so a parent takes the largest of its own and its children's heights.
    """
    n = len(E)
    pairs = _NearestPairs(_gram(E))
    node, height_of_slot = np.arange(n), np.zeros(n)
    merges, heights = np.zeros((n - 1, 2), dtype=np.int64), np.zeros(n - 1)
    for merge in range(n - 1):
        i, j, distance = pairs.closest()
        heights[merge] = max(distance, height_of_slot[i], height_of_slot[j])
        merges[merge] = sorted((node[i], node[j]))
        node[i], height_of_slot[i] = n + merge, heights[merge]
        pairs.merge(i, j)
    return merges, heights


def _gram(E: Float) -> Float:
    gram = np.empty((len(E), len(E)))
    for start in range(0, len(E), BLOCK_ROWS):
        stop = start + BLOCK_ROWS
        np.matmul(E[start:stop], E[start:].T, out=gram[start:stop, start:])
        gram[stop:, start:stop] = gram[start:stop, stop:].T
    return gram


class _NearestPairs:
    """The closest pair of clusters, kept up to date while clusters merge in place (slot j into slot i).

    Every slot remembers its nearest neighbour. A merge can only bring the merged cluster closer, which one
    vectorised comparison sees, or take a neighbour away, which leaves the remembered distance a lower bound:
    such a slot is searched again only if that bound ever comes out smallest.
    """

    def __init__(self, gram: Float) -> None:
        self._gram = gram  # row i: inner products of cluster i's embedding sum with every other's
        self._alive = np.ones(len(gram), dtype=bool)
        self._stale = np.zeros(len(gram), dtype=bool)
        self._neighbour = np.zeros(len(gram), dtype=np.int64)
        self._nearest = np.full(len(gram), np.inf)
        for slot in range(len(gram)):
            self._search(slot, self._distances(slot))

    def closest(self) -> tuple[int, int, float]:
        """Two slots and their distance, the smallest there is."""
        while self._stale[i := int(np.argmin(self._nearest))]:
            self._search(i, self._distances(i))
        return i, int(self._neighbour[i]), float(self._nearest[i])

    def merge(self, i: int, j: int) -> None:
        """Add cluster `j`'s sum to cluster `i`'s; slot `j` is empty from now on."""
        gram = self._gram
        gram[i] += gram[j]
        gram[i, i] += gram[i, j]  # (s_i + s_j)·(s_i + s_j): the line above added s_j·s_i once
        gram[:, i] = gram[i]
        self._alive[j], self._nearest[j], self._stale[j] = False, np.inf, False
        distances = self._distances(i)
        self._stale |= self._alive & ((self._neighbour == i) | (self._neighbour == j))
        closer = distances <= self._nearest
        closer[j] = False
        self._neighbour[closer], self._nearest[closer], self._stale[closer] = i, distances[closer], False
        self._search(i, distances)

    def _search(self, slot: int, distances: Float) -> None:
        best = int(np.argmin(distances))
        self._neighbour[slot], self._nearest[slot], self._stale[slot] = best, distances[best], False

    def _distances(self, slot: int) -> Float:
        """Eq. 4 from `slot` to all; 1 where a sum is zero, infinite to itself and to slots that are gone."""
        squared = np.diagonal(self._gram) * self._gram[slot, slot]
        lengths = np.sqrt(np.maximum(squared, 0.0))
        cosine = np.divide(self._gram[slot], lengths, out=np.zeros_like(lengths), where=lengths > 0)
        distances = np.where(self._alive, np.clip(1.0 - cosine, 0.0, 2.0), np.inf)
        distances[slot] = np.inf
        return distances


LINKAGES: dict[str, Callable[[Float], Merges]] = {"ward": ward, "average": average, "centroid": centroid}


def _from_scipy(Z: Float) -> Merges:
    return Z[:, :2].astype(np.int64), np.maximum.accumulate(Z[:, 2])
