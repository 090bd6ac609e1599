"""A tree beside the one that would be founded today."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hierflow.hashing import text_hash
from hierflow.stages.embedding.embeddings import Embeddings, embed
from hierflow.stages.overview.outlook import look_ahead
from hierflow.stages.planning.tree_comparison import TreeComparison, compare_to_fresh
from hierflow.tree import EmbeddingTree
from hierflow_tests.stages.plans import Planner, several, vector
from hierflow_tests.stages.runs import PROMPTS, carry_out, planned, spec_of, stage_of


@pytest.fixture
def clustered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many prompts are clustered, each time that some are."""
    found, real = list[int](), EmbeddingTree.from_embeddings

    def from_embeddings(embeddings: np.ndarray, linkage: str = "ward") -> EmbeddingTree:
        found.append(len(embeddings))
        return real(embeddings, linkage)

    monkeypatch.setattr(EmbeddingTree, "from_embeddings", from_embeddings)
    return found


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


def test_a_set_that_has_not_changed_is_clustered_no_more(
    tiny_learned: Path, tmp_path: Path, clustered: list[int]
) -> None:
    spec = spec_of(tiny_learned, storage=tmp_path)
    carry_out(spec)
    assert clustered == [len(PROMPTS)]
    stage = stage_of(spec)
    compiled, prompts = planned(stage)
    comparison = compare_to_fresh(stage, compiled, embed(stage, prompts))
    assert comparison is not None
    assert (comparison.regret, comparison.drift) == (0, 0)
    outlook = look_ahead(stage_of(spec))
    assert outlook.edit is not None
    assert (outlook.edit.rebuild, outlook.edit.rebuild_changed) == (0, 0)
    assert clustered == [len(PROMPTS)]


def test_an_edit_is_priced_with_one_clustering_of_all(
    tiny_learned: Path, tmp_path: Path, clustered: list[int]
) -> None:
    carry_out(spec_of(tiny_learned, storage=tmp_path))
    clustered.clear()
    outlook = look_ahead(stage_of(spec_of(tiny_learned, storage=tmp_path, prompts=[*PROMPTS, "a red cup"])))
    assert outlook.edit is not None
    assert outlook.edit.rebuild is not None
    assert sorted(clustered) == [1, len(PROMPTS) + 1]  # the new prompt by itself, and all of them
