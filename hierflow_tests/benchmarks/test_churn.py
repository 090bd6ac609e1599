"""The churn benchmark counts what a run would execute."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.attaching import RULES, attached_by, joint_heights
from benchmarks.churn import NIGHTS, Bench, Embedded, life, price
from benchmarks.churn_figure import draw_figure
from benchmarks.nights import CHECKPOINT_EVERY, Fresh, Pinned
from hierflow.hashing import text_hash
from hierflow.plan.mismatch import directions
from hierflow.plan.segments import compile_plan
from hierflow.tree import EmbeddingTree

TAU = 0.6
TOPICS = np.random.default_rng(7).normal(size=(6, 16))


def prompts(count: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows = TOPICS[rng.integers(len(TOPICS), size=count)] + 0.4 * rng.normal(size=(count, 16))
    return {text_hash(f"{seed} {index}"): row for index, row in enumerate(rows)}


def pinned(founding: dict[str, np.ndarray]) -> Pinned:
    fresh = Fresh(list(founding), founding)
    return Pinned(fresh, TAU, 0.9, fresh.store(TAU))


def test_the_first_night_executes_the_plan() -> None:
    founding = prompts(40, seed=0)
    fresh = Fresh(list(founding), founding)
    store = fresh.store(TAU)
    assert len(store.computed) == fresh.plan(TAU).evaluations
    assert store.stored < store.computed


def test_nothing_changed_and_prompts_that_go_cost_nothing() -> None:
    founding = prompts(40, seed=0)
    tree = pinned(founding)
    assert tree.change(list(founding), founding) == (0, 0)
    assert tree.change(list(founding)[5:], founding) == (0, 0)
    assert tree.plan.leaves == 35


def test_new_prompts_cost_what_they_add_to_the_plan_and_a_short_replay() -> None:
    founding, new = prompts(40, seed=0), prompts(8, seed=1)
    tree = pinned(founding)
    work = tree.change([*founding, *new], founding | new)
    without = compile_plan(tree.planted.tree, TAU, tree.plan.steps, tree.planted.live(list(founding)))
    grafts = int(tree.planted.generations.max())
    assert work.executed - work.replayed == tree.plan.evaluations - without.evaluations
    assert 0 < work.replayed <= grafts * (CHECKPOINT_EVERY - 1)
    assert tree.change([*founding, *new], founding | new) == (0, 0)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_brings_the_new_prompts_onto_the_tree(rule: str) -> None:
    founding, new = prompts(40, seed=0), prompts(8, seed=1)
    tree = pinned(founding)
    with attached_by(rule):
        tree.change([*founding, *new], founding | new)
    assert tree.plan.leaves == 48
    assert set(tree.planted.texts) == {*founding, *new}


def test_below_its_own_height_a_cluster_does_not_stay_together_on_another_path() -> None:
    rng = np.random.default_rng(2)
    variations = TOPICS[0] + 0.5 * rng.normal(size=(40, 16))
    founding = {text_hash(f"variation {index}"): row for index, row in enumerate(variations)}
    apart = rng.normal(size=(4, 16))
    around = TOPICS[0] + 0.8 * np.concatenate([apart, -apart])  # their mean is everybody's
    new = {text_hash(f"around {index}"): row for index, row in enumerate(around)}
    tree = pinned(founding)
    work = tree.change([*founding, *new], founding | new)
    alone = Fresh(list(new), new).plan(TAU).evaluations
    assert 0.8 * alone < work.executed <= alone  # each other's company is all they have to share


def test_the_joint_height_is_the_height_at_which_ward_would_merge() -> None:
    rows = directions(np.concatenate([TOPICS[:1] + 0.1 * np.random.default_rng(3).normal(size=(5, 16)), TOPICS[1:3]]))
    whole = EmbeddingTree.from_embeddings(rows)
    left, right = (whole.members(int(node)) for node in whole.merges[-1])
    parts = [EmbeddingTree.from_embeddings(rows[part]) for part in (left, right)]
    heights = joint_heights(parts[0], rows[left], parts[1], rows[right])
    assert heights[-1, -1] == pytest.approx(whole.heights[-1])


def living() -> Embedded:
    founding, alike, unseen = prompts(60, seed=0), prompts(NIGHTS, seed=1), prompts(NIGHTS, seed=2)
    newcomers = {"alike": list(alike), "unseen": list(unseen)}
    return Embedded("trial", list(founding), newcomers, founding | alike | unseen)


def test_the_prices_and_the_nights_fit_each_other(tmp_path: Path) -> None:
    cost = price(living(), TAU, 0.9, share=0.1)
    assert cost.prompts == 6
    assert 0 < cost.replayed <= cost.pinned < cost.over
    assert cost.cached <= cost.over

    careful, generous = (life(living(), "alike", TAU, tolerance) for tolerance in (0.5, 2.0))
    assert len(careful) == len(generous) == NIGHTS
    assert generous[-1].drift > careful[-1].drift
    assert sum(night.executed for night in generous) < sum(night.executed for night in careful)

    draw_figure(60, {0.1: cost}, {"alike": careful, "unseen": generous}, tmp_path / "churn.png")
    assert (tmp_path / "churn.png").stat().st_size > 0


def test_what_has_been_measured_is_not_measured_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "hierflow")
    nights = bench.life(living(), "alike", TAU, 0.9)
    nobody = living()._replace(vectors={})
    assert bench.life(nobody, "alike", TAU, 0.9) == nights
    with pytest.raises(KeyError):
        bench.life(nobody, "unseen", TAU, 0.9)
