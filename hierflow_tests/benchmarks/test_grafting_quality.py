"""The grafting benchmark compares the same prompts on two trees."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.catalogue import KNOWN, draw
from benchmarks.grafting_pairs import Outcome, Setting, compare
from benchmarks.grafting_quality import lower_bound, rows_of
from hierflow.mini.catalogue.grammar import parse_prompt


def test_a_catalogue_names_all_attributes_and_the_unseen_are_other_products() -> None:
    catalogue = draw(founding=50, newcomers=20, seed=3)
    every = [*catalogue.founding, *catalogue.alike, *catalogue.unseen]
    assert (len(catalogue.founding), len(set(every))) == (50, 90)
    assert all(None not in parse_prompt(text) for text in every)
    founding = {parse_prompt(text).product for text in catalogue.founding}
    assert {parse_prompt(text).product for text in catalogue.alike} <= founding
    assert not founding & {parse_prompt(text).product for text in catalogue.unseen}
    assert len(founding) <= KNOWN[0]


def test_pairs_that_fare_alike_count_as_one() -> None:
    rng = np.random.default_rng(0)
    luck = rng.choice([-1.0, 0.0, 1.0], size=40)
    difference = np.repeat(luck, 10)
    alone = lower_bound(difference, list(range(400)))
    together = lower_bound(difference, np.repeat(np.arange(40), 10).tolist())
    assert together < alone < difference.mean()


def test_newcomers_are_generated_on_both_trees(tmp_path: Path) -> None:
    setting = Setting(0.6, 0.9, 0, days=2, steps=3, founding=8, newcomers=4)
    outcome = compare(setting, tmp_path)
    assert {len(outcome.grafted), len(outcome.fresh), len(outcome.graft)} == {4}
    assert min(outcome.graft) >= 1
    assert all(4 <= added <= 12 for added in outcome.evaluations)
    assert [row.count("|") for row in rows_of([(setting, outcome)])] == [18, 18, 18]


def test_the_table_gives_the_difference_of_the_shares() -> None:
    outcome = Outcome([5, 5, 4, 4], [5, 3, 5, 5], [1, 2, 3, 4], (9, 8), (0.5, 0.4), 0.1)
    every, alike, unseen = rows_of([(Setting(0.6, 0.9, 0), outcome)])
    assert "| 4 | 0.750 | -0.250 |" in every
    assert "| 0.900 | +0.000 |" in every
    assert "| 2 | 0.500 | +0.500 |" in alike
    assert "| 2 | 1.000 | -1.000 |" in unseen
