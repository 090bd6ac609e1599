"""Which clusters are active at each step."""

from __future__ import annotations

import numpy as np


def leaves_of(node: int, merges: np.ndarray, n: int) -> frozenset[int]:
    """The leaves below `node`, or `node` itself where it is a leaf."""
    if node < n:
        return frozenset([node])
    left, right = merges[node - n]
    return leaves_of(int(left), merges, n) | leaves_of(int(right), merges, n)


def frontier(merges: np.ndarray, heights: np.ndarray, n: int, tau: float, steps: int) -> list[list[frozenset[int]]]:
    """The clusters of each step k = 1 .. steps (item k - 1), ordered by their smallest leaf.

    phi_k falls linearly from tau to 0. A cluster is a node with height <= phi_k that lies under no other such
    node; leaves have height 0. Where phi_k is 0 (the last step, a single step, tau = 0) every leaf is alone.

    Args:
        merges: (n - 1, 2), the node ids merged into node n + row.
        heights: (n - 1,), the height of node n + row.
    """
    phi = np.linspace(0, tau, steps)[::-1]
    below = {node: leaves_of(node, merges, n) for node in range(2 * n - 1)}
    height = {node: 0.0 if node < n else float(heights[node - n]) for node in range(2 * n - 1)}
    result = []
    for k in range(1, steps + 1):
        if phi[k - 1] == 0:
            low = [node for node in range(2 * n - 1) if node < n]
        else:
            low = [node for node in range(2 * n - 1) if height[node] <= phi[k - 1]]
        clusters = []
        for node in low:
            lies_under_another = False
            for other in low:
                if below[node] < below[other]:
                    lies_under_another = True
            if not lies_under_another:
                clusters.append(below[node])
        result.append(sorted(clusters, key=min))
    return result
