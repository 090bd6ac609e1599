"""Where new prompts join a tree that has run: every host, every step and every way to divide them is tried."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from .centroid import cluster_mean, cosine_distance
from .cut import frontier, leaves_of

Path = list[tuple[int, list[int]]]
"""Of every step, the node that serves it and the prompts (rows) it was made from."""
Place = tuple[int, int]
"""The host and the last step shared with it; (-1, 0) for noise."""

ROUNDING = 1e-9


def mismatch(prompts: Sequence[list[float]], path: Path, E: np.ndarray, steps: int) -> float:
    """How far prompts are, on average, from what the path's first `steps` steps are conditioned on, added up."""
    total = 0.0
    for _, founders in path[:steps]:
        conditioning = cluster_mean(E, founders)
        total += sum(cosine_distance(prompt, conditioning) for prompt in prompts) / len(prompts)
    return total


def place(
    prompts: Sequence[list[float]],
    paths: Sequence[Path],
    E: np.ndarray,
    tau: float,
    budget: float,
    height: float = 0.0,
) -> Place:
    """The longest stretch of a path that `prompts` may share; of equally long ones that of the smallest node.

    Args:
        prompts: the new cluster, by their embeddings.
        paths: those of the prompts that are there.
        E: (N, D) their embeddings.
        tau: a step where phi is 0 is shared by nobody.
        budget: what the mismatch may come to.
        height: of the new cluster in its own tree; it is not together at a step whose phi is smaller.
    """
    best: Place = (-1, 0)
    for path in paths:
        phi = np.linspace(0, tau, len(path))[::-1]
        for steps in range(1, len(path) + 1):
            together = phi[steps - 1] > 0 and phi[steps - 1] >= height
            if together and mismatch(prompts, path, E, steps) <= budget + ROUNDING:
                host = path[steps - 1][0]
                if steps > best[1] or (steps == best[1] and host < best[0]):
                    best = (host, steps)
    return best


def cuts(merges: np.ndarray, n: int, node: int) -> Iterator[list[int]]:
    """Every way to divide the prompts under `node` into nodes."""
    yield [node]
    if node >= n:
        left, right = (int(child) for child in merges[node - n])
        for one in cuts(merges, n, left):
            for other in cuts(merges, n, right):
                yield one + other


def cheapest_places(
    merges: np.ndarray,
    heights: np.ndarray,
    F: np.ndarray,
    paths: Sequence[Path],
    E: np.ndarray,
    *,
    tau: float,
    budget: float,
    max_prompts: int,
) -> tuple[int, dict[frozenset[int], Place]]:
    """What the new prompts take at least, and where each cluster of the division that does leaves.

    Args:
        merges, heights: the tree over the new prompts alone.
        F: (n, D) their embeddings.
        paths, E, tau, budget: see :func:`place`.
        max_prompts: the largest cluster.

    Returns:
        Evaluations after the shared steps, and (host, last step shared) by cluster; of equally cheap divisions
        those of the one with the fewest clusters.
    """
    n, steps = len(F), len(paths[0])
    levels = frontier(merges, heights, n, tau, steps)
    best: tuple[float, int, dict[frozenset[int], Place]] = (math.inf, 0, {})
    for cut in cuts(merges, n, 2 * n - 2):
        cost, places = 0, {}
        for node in cut:
            members = leaves_of(node, merges, n)
            if len(members) > max_prompts:
                break
            height = float(heights[node - n]) if node >= n else 0.0
            places[members] = place([F[row].tolist() for row in sorted(members)], paths, E, tau, budget, height)
            for level in levels[places[members][1] :]:
                cost += len({cluster & members for cluster in level} - {frozenset()})
        else:
            if (cost, len(cut)) < best[:2]:
                best = (cost, len(cut), places)
    return int(best[0]), best[2]
