"""Trees to plan on: any shape, with heights that tie with each other and with phi."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from hierflow.tree import EmbeddingTree


@st.composite
def trees(draw: st.DrawFn, max_leaves: int = 14) -> EmbeddingTree:
    """Any binary tree; heights are eighths, so that they often equal a phi exactly, or 0."""
    leaves = draw(st.integers(1, max_leaves))
    roots, merges = list(range(leaves)), []
    for merge in range(leaves - 1):
        left = roots.pop(draw(st.integers(0, len(roots) - 1)))
        right = roots.pop(draw(st.integers(0, len(roots) - 1)))
        merges.append((left, right))
        roots.append(leaves + merge)
    heights = sorted(draw(st.lists(st.integers(0, 12), min_size=leaves - 1, max_size=leaves - 1)))
    merge_array = np.array(merges, dtype=np.int64).reshape(-1, 2)
    return EmbeddingTree(merge_array, np.array(heights) / 8, "ward")


def grown(prompts: int = 24, linkage: str = "ward", seed: int = 1) -> EmbeddingTree:
    """A tree of random embeddings."""
    return EmbeddingTree.from_embeddings(np.random.default_rng(seed).normal(size=(prompts, 6)), linkage)


TAUS = st.sampled_from([0.0, 0.125, 0.5, 1.0, 1.5, 3.0]) | st.floats(0, 4)
