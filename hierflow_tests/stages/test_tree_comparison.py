"""A tree beside the one that would be founded today."""

from __future__ import annotations

import numpy as np

from hierflow.hashing import text_hash
from hierflow.stages.embeddings import Embeddings
from hierflow.stages.tree_comparison import TreeComparison, compare_to_fresh
from hierflow_tests.stages.plans import Planner, several, vector


def compared(planner: Planner, texts: list[str]) -> TreeComparison | None:
    compiled, hashed = planner.plan(texts), dict(sorted((text_hash(text), text) for text in texts))
    vectors = np.array([vector(text) for text in hashed.values()])
    embeddings = Embeddings(tuple(hashed.values()), tuple(hashed), vectors, 0)
    return compare_to_fresh(planner.stage(texts), compiled, embeddings)


def test_a_graft_whose_hash_comes_last_is_a_graft() -> None:
    """Its tree has the texts of a fresh one in the same order, and was taken for one."""
    texts = sorted([*several("mug", 1, 2, 3, 4), *several("chair", 1, 2, 3, 4)], key=text_hash)
    planner = Planner(sharing={"tau": 1.0, "graft_tolerance": 0.0})
    founded = compared(planner, texts[:-1])
    grown = compared(planner, texts)
    assert founded is not None
    assert founded.regret == founded.drift == 0
    assert grown is not None
    assert grown.regret > 0
