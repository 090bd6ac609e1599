"""Where new prompts join a tree that has run: as far as the budget goes, and as cheaply as can be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hierflow.plan import grafting
from hierflow.plan.grafting import grafts_of
from hierflow.plan.mismatch import founding_directions, mean_mismatch
from hierflow.plan.schedule import phi
from hierflow.plan.segments import compile_plan
from hierflow.tree import LINKAGES, EmbeddingTree
from hierflow.tree.planted import Graft, PlantedTree
from hierflow_tests.oracles.cut import frontier
from hierflow_tests.oracles.grafting import Path, cheapest_places
from hierflow_tests.tree.growths import Story, grown, own_paths, stories
from hierflow_tests.tree.test_planted import assert_told

quick = settings(max_examples=100, deadline=None)
NAMES = tuple(f"new {i}" for i in range(6))


def drawn(rows: int, seed: int) -> np.ndarray:
    """Embeddings in three clouds, some of them equal."""
    random = np.random.default_rng(seed)
    return np.eye(4)[random.integers(0, 3, rows)] + random.integers(0, 3, (rows, 4)) * 0.2


def paths_of(story: Story) -> list[Path]:
    plan, leaf_of = story.plan, story.planted.leaf_of
    nodes = [plan.assignment(k) for k in range(1, story.steps + 1)]
    return [
        [(int(nodes[k][leaf]), [leaf_of[text] for text in sorted(path[k])]) for k in range(story.steps)]
        for leaf, path in enumerate(story.paths)
    ]


def grafts_on(story: Story, E: np.ndarray, F: np.ndarray, budget: float, max_prompts: int = 9) -> list[Graft]:
    means = founding_directions(story.planted, E)
    return grafts_of(story.plan, means, F, NAMES[: len(F)], budget=budget, max_prompts=max_prompts)


def planted_story(E: np.ndarray, tau: float, steps: int, linkage: str = "ward") -> Story:
    tree = EmbeddingTree.from_embeddings(E, linkage)
    texts = tuple(f"p{leaf}" for leaf in range(tree.leaves))
    return Story(PlantedTree(tree, texts, "enc"), tau, steps, own_paths(tree, texts, tau, steps), [])


@quick
@given(
    story=stories(rounds=2, prompts=4),
    seed=st.integers(0, 999),
    new=st.integers(1, 5),
    tolerance=st.sampled_from([0.0, 0.5, 0.9, 1.0, 2.0, 9.0]),
    max_prompts=st.integers(1, 5),
)
def test_grafts_are_those_of_trying_everything(
    story: Story, seed: int, new: int, tolerance: float, max_prompts: int
) -> None:
    E, F = drawn(len(story.paths), seed), drawn(new, seed + 1)
    budget = tolerance * mean_mismatch(story.plan, E, founding_directions(story.planted, E))
    own = EmbeddingTree.from_embeddings(F, story.planted.tree.linkage)
    evaluations, places = cheapest_places(
        own.merges, own.heights, F, paths_of(story), E, tau=story.tau, budget=budget, max_prompts=max_prompts
    )
    threshold = phi(story.tau, story.steps)
    grafts = grafts_on(story, E, F, budget, max_prompts)

    assert [graft.texts for graft in grafts] == sorted(graft.texts for graft in grafts)
    found = {}
    for graft in grafts:
        shared = int(np.flatnonzero(threshold == graft.height)[0]) + 1 if graft.host >= 0 else 0
        found[frozenset(NAMES.index(text) for text in graft.texts)] = (graft.host, shared)
        assert list(graft.texts) == sorted(graft.texts)
    assert found == places
    after = grown(story, grafts)
    assert_told(after)
    assert_own_clusters(after, own, found)
    old = compile_plan(story.planted.tree, story.tau, story.steps).evaluations
    assert after.plan.evaluations == old + evaluations


def assert_own_clusters(story: Story, own: EmbeddingTree, found: dict[frozenset[int], tuple[int, int]]) -> None:
    """After the steps it shares, a graft is conditioned on the new prompts' own clusters, as far as it holds them."""
    levels = frontier(own.merges, own.heights, own.leaves, story.tau, story.steps)
    path_of = dict(zip(story.planted.texts, story.paths, strict=True))
    for cluster, (_, shared) in found.items():
        for prompt in cluster:
            for k in range(shared, story.steps):
                (mates,) = (c & cluster for c in levels[k] if prompt in c)
                assert path_of[NAMES[prompt]][k] == {NAMES[mate] for mate in mates}


@pytest.mark.parametrize("linkage", LINKAGES)
@pytest.mark.parametrize("seed", range(3))
def test_grafts_on_real_trees_are_those_of_trying_everything(linkage: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    E, F = random.normal(size=(8, 5)) + 1, random.normal(size=(6, 5)) + 1
    story = planted_story(E, 1.2, 7, linkage)
    budget = 0.9 * mean_mismatch(story.plan, E, founding_directions(story.planted, E))
    own = EmbeddingTree.from_embeddings(F, linkage)
    evaluations, places = cheapest_places(
        own.merges, own.heights, F, paths_of(story), E, tau=1.2, budget=budget, max_prompts=6
    )
    grafts = grafts_on(story, E, F, budget)
    assert {frozenset(NAMES.index(text) for text in graft.texts): graft.host for graft in grafts} == {
        cluster: host for cluster, (host, _) in places.items()
    }
    assert grown(story, grafts).plan.evaluations == story.plan.evaluations + evaluations


def test_how_much_is_looked_at_at_once_has_no_say(monkeypatch: pytest.MonkeyPatch) -> None:
    E, F = drawn(12, 1), drawn(6, 2)
    story = planted_story(E, 1.5, 8)
    whole = grafts_on(story, E, F, 0.3)
    monkeypatch.setattr(grafting, "_CELLS", 1)
    assert str(grafts_on(story, E, F, 0.3)) == str(whole)


@pytest.mark.parametrize(("tau", "steps"), [(0.0, 5), (2.0, 1)])
def test_where_phi_is_zero_nothing_is_shared_whatever_the_budget(tau: float, steps: int) -> None:
    E = np.ones((3, 2))
    grafts = grafts_on(planted_story(E, tau, steps), E, E, 99.0)
    assert {graft.host for graft in grafts} == {-1}
    assert grown(planted_story(E, tau, steps), grafts).plan.saved == 0


@pytest.mark.parametrize("seed", range(20))
def test_the_same_embedding_costs_one_step_even_without_a_budget(seed: int) -> None:
    E = np.random.default_rng(seed).normal(size=(1, 768))
    (graft,) = grafts_on(planted_story(E, 1.0, 6), E, 3 * E, 0.0)
    after = grown(planted_story(E, 1.0, 6), [graft])
    assert after.plan.evaluations == 7


def test_what_lies_across_shares_nothing() -> None:
    E = np.array([[1.0, 0.0, 0.0], [1.0, 0.1, 0.0]])
    (graft,) = grafts_on(planted_story(E, 1.0, 6), E, np.array([[0.0, 0.0, 1.0]]), 0.9)
    assert graft.host == -1
    assert graft.height > 1.0


def test_a_zero_embedding_is_at_distance_one_from_everything() -> None:
    E, zero = np.array([[1.0, 0.0]]), np.zeros((1, 2))
    for budget, shared in [(0.9, 0), (1.0, 1), (3.5, 3)]:
        (graft,) = grafts_on(planted_story(E, 1.0, 6), E, zero, budget)
        assert graft.host == (0 if shared else -1)
        assert not shared or graft.height == phi(1.0, 6)[shared - 1]


@quick
@given(story=stories(rounds=1, prompts=5), seed=st.integers(0, 99), new=st.integers(1, 6), budget=st.floats(0, 3))
def test_a_larger_budget_never_costs_more(story: Story, seed: int, new: int, budget: float) -> None:
    E, F = drawn(len(story.paths), seed), drawn(new, seed + 1)
    costs = [grown(story, grafts_on(story, E, F, b)).plan.evaluations for b in (budget, 1.5 * budget + 0.1)]
    assert costs[1] <= costs[0]


@quick
@given(story=stories(rounds=1, prompts=5), seed=st.integers(0, 99), new=st.integers(1, 6), budget=st.floats(0, 3))
def test_new_prompts_never_cost_more_than_a_tree_of_their_own(
    story: Story, seed: int, new: int, budget: float
) -> None:
    assume(story.tau > 0)
    E, F = drawn(len(story.paths), seed), drawn(new, seed + 1)
    own = EmbeddingTree.from_embeddings(F, "ward").plan(story.tau, story.steps).evaluations
    grafts = grafts_on(story, E, F, budget)
    assert grown(story, grafts).plan.evaluations - story.plan.evaluations <= own
