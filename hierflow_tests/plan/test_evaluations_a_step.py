"""Samplers that take several evaluations for a step: prompts part, and are grafted, between steps only."""

from __future__ import annotations

import numpy as np
import pytest

from hierflow.plan.grafting import grafts_of
from hierflow.plan.mismatch import founding_directions, mean_mismatch
from hierflow.plan.schedule import phi
from hierflow.plan.segments import compile_plan
from hierflow.tree import EmbeddingTree
from hierflow.tree.planted import PlantedTree

HEUN, PNDM = (2, 2, 2, 2, 1), (2, 1, 1, 1, 1)
TAU = 1.0


def cloud(rows: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.eye(4)[random.integers(0, 3, rows)] + random.normal(size=(rows, 4)) * 0.3


def test_every_evaluation_of_a_step_has_its_height() -> None:
    assert phi(1.0, (2, 2, 1)).tolist() == [1.0, 1.0, 0.5, 0.5, 0.0]
    assert phi(1.0, (1, 1, 1)).tolist() == phi(1.0, 3).tolist()
    assert phi(1.0, (2,)).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("counts", [HEUN, PNDM])
def test_the_clusters_of_an_evaluation_are_those_of_its_step(counts: tuple[int, ...]) -> None:
    tree = EmbeddingTree.from_embeddings(cloud(12, seed=1))
    by_step, plan = compile_plan(tree, TAU, len(counts)), compile_plan(tree, TAU, counts)
    step_of = np.repeat(np.arange(1, len(counts) + 1), counts)
    assert plan.steps == len(step_of)
    for evaluation, step in enumerate(step_of, start=1):
        assert np.array_equal(plan.assignment(evaluation), by_step.assignment(int(step)))
    assert plan.evaluations == sum(
        int(size) * count for size, count in zip(by_step.frontier_sizes, counts, strict=True)
    )
    assert plan.standard_evaluations == 12 * sum(counts)
    assert plan.saved > 0


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("counts", [HEUN, PNDM])
def test_a_graft_stays_within_its_budget_to_the_end_of_a_step(counts: tuple[int, ...], seed: int) -> None:
    E, new = cloud(10, seed), cloud(3, seed + 100)
    planted = PlantedTree(EmbeddingTree.from_embeddings(E), tuple(f"p{i:02}" for i in range(10)), "enc")
    plan = compile_plan(planted.tree, TAU, counts)
    means = founding_directions(planted, E)
    budget = 0.9 * mean_mismatch(plan, E, means)
    grafts = grafts_of(plan, means, new, ["q0", "q1", "q2"], budget=budget, max_prompts=9)
    after = planted.grafted(grafts)
    grown, everyone = compile_plan(after.planted.tree, TAU, counts), np.concatenate([E, new])
    of = dict(zip([*planted.texts, "q0", "q1", "q2"], everyone, strict=True))
    for graft in grafts:
        own = np.mean([of[text] for text in graft.texts], axis=0)
        spent = 0.0
        for segment in grown.path(after.planted.leaf_of[graft.texts[0]]):
            founders = after.planted.founders(int(grown.nodes[segment]))
            if not set(founders) & set(graft.texts):
                mean = np.mean([of[text] for text in founders], axis=0)
                cosine = own @ mean / (np.linalg.norm(own) * np.linalg.norm(mean))
                spent += (1 - cosine) * int(grown.last[segment] - grown.first[segment] + 1)
        assert spent <= budget + 1e-6
    assert set(grown.last.tolist()) <= set(np.cumsum(counts).tolist())
