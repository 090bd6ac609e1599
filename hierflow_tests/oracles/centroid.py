"""The paper's Eq. 3-5: clusters merged by the cosine distance between the means of their prompts."""

from __future__ import annotations

import math

import numpy as np


def cluster_mean(E: np.ndarray, members: list[int]) -> list[float]:
    """Eq. 3: the mean of the members' embeddings, every member counting once."""
    mean = []
    for dimension in range(E.shape[1]):
        total = 0.0
        for member in sorted(members):
            total += float(E[member, dimension])
        mean.append(total / len(members))
    return mean


def cosine_distance(a: list[float], b: list[float]) -> float:
    """Eq. 4: 1 - cos(a, b), in 0 .. 2; 1 where a or b is the zero vector and has no direction."""
    dot = math.fsum(x * y for x, y in zip(a, b, strict=True))
    norms = math.sqrt(math.fsum(x * x for x in a)) * math.sqrt(math.fsum(y * y for y in b))
    if norms == 0:
        return 1.0
    return min(max(1 - dot / norms, 0.0), 2.0)


def eq45_tree(E: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Merge the two closest clusters until one is left (Eq. 5), recomputing everything at every merge.

    Args:
        E: embeddings, (N, D), N >= 1.

    Returns:
        merges (N-1, 2), int: the node ids i < j that merge m makes node N + m of; leaves are 0..N-1.
        heights (N-1,): the distance at each merge, raised to its children's where it lies below them.
        Of equally close pairs the one with the smallest (i, j) is merged.
    """
    n = len(E)
    members = {leaf: [leaf] for leaf in range(n)}
    height = dict.fromkeys(range(n), 0.0)
    merges: list[tuple[int, int]] = []
    while len(members) > 1:
        means = {node: cluster_mean(E, members[node]) for node in members}
        best: tuple[float, int, int] | None = None
        for i in sorted(members):
            for j in sorted(members):
                if i < j:
                    candidate = (cosine_distance(means[i], means[j]), i, j)
                    if best is None or candidate < best:
                        best = candidate
        assert best is not None
        distance, i, j = best
        new = n + len(merges)
        members[new] = members.pop(i) + members.pop(j)
        height[new] = max(distance, height[i], height[j])
        merges.append((i, j))
    heights = [height[n + m] for m in range(len(merges))]
    return np.array(merges, dtype=int).reshape(-1, 2), np.array(heights, dtype=float)
