"""Trees and plans: immutable, named by content, with one pointer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hierflow.plan.compiled import CompiledPlan
from hierflow.store.plans import PlanBook
from hierflow.store.storage import DamagedFileError, Storage
from hierflow.tree.planted import Clustering
from hierflow_tests.store.damage import flip
from hierflow_tests.store.examples import compiled


def adopted(storage: Storage, plan: CompiledPlan) -> PlanBook:
    book = PlanBook(storage)
    book.save(plan)
    book.point_to(plan.document.id)
    return PlanBook(storage)


@pytest.mark.parametrize("prompts", [1, 2, 9])
def test_a_plan_comes_back_with_its_tree(storage: Storage, prompts: int) -> None:
    made = compiled(prompts)
    plan = CompiledPlan(made.document, replace(made.planted, clustering=Clustering("a model", "its fingerprint")))
    plan = CompiledPlan(replace(plan.document, tree=plan.planted.id), plan.planted)
    loaded = adopted(storage, plan).current()
    assert loaded is not None
    assert loaded.document == plan.document
    assert loaded.document.id == plan.document.id
    assert loaded.planted.id == plan.planted.id
    assert loaded.planted.texts == plan.planted.texts
    assert loaded.planted.is_founding(plan.planted.texts)
    assert not loaded.planted.is_founding(plan.planted.texts[1:])
    assert loaded.planted.clustering == plan.planted.clustering == Clustering("a model", "its fingerprint")
    np.testing.assert_array_equal(loaded.planted.tree.merges, plan.planted.tree.merges)
    np.testing.assert_array_equal(loaded.planted.tree.heights, plan.planted.tree.heights)
    assert [loaded.lanes[1].ids.final(leaf) for leaf in range(prompts)] == [
        plan.lanes[1].ids.final(leaf) for leaf in range(prompts)
    ]


def test_a_set_without_a_plan_has_no_current_one(storage: Storage) -> None:
    assert PlanBook(storage).current() is None


def test_saving_a_plan_does_not_make_it_current(storage: Storage) -> None:
    first, second = compiled(), compiled(tau=0.4)
    book = adopted(storage, first)
    book.save(second)
    current = book.current()
    assert current is not None
    assert current.document.id == first.document.id
    book.point_to(second.document.id)
    current = book.current()
    assert current is not None
    assert current.document.id == second.document.id


def test_an_earlier_plan_stays_readable(storage: Storage) -> None:
    first, second = compiled(), compiled(tau=0.4)
    adopted(storage, first)
    book = adopted(storage, second)
    assert book.load(first.document.id).document == first.document


def test_a_plan_that_is_not_stored_is_missing(storage: Storage) -> None:
    with pytest.raises(FileNotFoundError):
        PlanBook(storage).load("0" * 64)


@pytest.mark.parametrize("folder", ["plans", "trees"])
def test_a_damaged_plan_or_tree_is_never_used_and_saving_it_again_mends_it(storage: Storage, folder: str) -> None:
    plan = compiled()
    book = adopted(storage, plan)
    flip(storage, storage.list(folder)[0], at=-40)
    with pytest.raises(DamagedFileError, match=folder):
        book.current()
    book.save(plan)
    assert book.load(plan.document.id).document == plan.document


def test_a_damaged_pointer_is_noticed(storage: Storage) -> None:
    book = adopted(storage, compiled())
    flip(storage, "current.json", at=30)
    with pytest.raises(DamagedFileError, match=r"current\.json"):
        book.current()


def test_two_trees_over_the_same_prompts_do_not_overwrite_each_other(storage: Storage) -> None:
    # Near-ties fall one way on one machine and the other way on another: each plan keeps its own tree.
    first, second = compiled(seed=0), compiled(seed=1)
    assert first.planted.texts == second.planted.texts
    adopted(storage, first)
    book = adopted(storage, second)
    for plan in (first, second):
        np.testing.assert_array_equal(book.load(plan.document.id).planted.tree.merges, plan.planted.tree.merges)
