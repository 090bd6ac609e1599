"""Only what is not stored is executed, from the latest intact state on each path."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from hierflow.denoise.sampler_state import SamplerState
from hierflow.denoise.work import Stretch, ledger_work, plan_work
from hierflow.plan.compiled import CompiledPlan
from hierflow.plan.document import PlanDocument, PlannedVariant
from hierflow.plan.identity import SamplingIdentity
from hierflow.plan.lanes import Variant
from hierflow.tree import EmbeddingTree
from hierflow.tree.planted import PlantedTree

STEPS, EVERY = 9, 2
ALL = (PlannedVariant(Variant(0, 8, 8), (0, 1, 2)),)


def compiled(images: int = 1) -> CompiledPlan:
    """Leaves 0 and 1 share steps 1-5 (0.5 <= phi), and steps 1-2 with leaf 2 (0.8)."""
    tree = EmbeddingTree(np.array([[0, 1], [2, 3]]), np.array([0.45, 0.8]), "ward")
    sampling = SamplingIdentity("d", {}, 4.0, 8, 8, "float32", 0, "per_root", 8)
    document = PlanDocument("t", "p", 1.0, {}, STEPS, images, "e", "m", {}, sampling, "", ALL, (), (), (), 0, 0)
    return CompiledPlan(document, PlantedTree(tree, ("a", "b", "c"), "e"))


class Stored:
    """A store of states, some of them damaged."""

    def __init__(self, *intact: str, damaged: tuple[str, ...] = ()) -> None:
        self.intact, self.damaged, self.found_damaged = set(intact), set(damaged), set()
        self.loaded: list[str] = []

    def has(self, state: str) -> bool:
        return state in self.intact | self.damaged - self.found_damaged

    def load(self, state: str) -> SamplerState | None:
        self.loaded.append(state)
        if state in self.damaged:
            self.found_damaged.add(state)
            return None
        return SamplerState(torch.zeros(1, 1), {}, {"state": state})


def planned(plan: CompiledPlan, stored: Stored, leaves: tuple[int, ...] = (0, 1, 2)) -> list[Stretch]:
    terminals = plan.terminals(dict.fromkeys(plan.lanes, leaves))
    return plan_work(terminals, has=stored.has, load=stored.load, checkpoint_every=EVERY)


def shown(plan: CompiledPlan, stretches: list[Stretch]) -> dict[tuple[int, int], tuple[int, int]]:
    """(node, image index) -> first and last step."""
    return {(int(plan.plan.nodes[s.segment]), s.lane.image_index): (s.first, s.last) for s in stretches}


def origin(stretch: Stretch) -> object:
    source = stretch.source
    return source.counters["state"] if isinstance(source, SamplerState) else source


@pytest.fixture
def plan() -> CompiledPlan:
    return compiled()


@pytest.fixture
def at(plan: CompiledPlan) -> Callable[[int, int], str]:
    """The id of a node's state after a step."""
    return lambda node, step: plan.lanes[0].ids.at(int(plan.plan.segment_of_node[node]), step)


def test_where_nothing_is_stored_everything_is_executed_from_noise(plan: CompiledPlan) -> None:
    stretches = planned(plan, Stored())
    assert shown(plan, stretches) == {(4, 0): (1, 2), (3, 0): (3, 5), (0, 0): (6, 9), (1, 0): (6, 9), (2, 0): (3, 9)}
    by_node = {int(plan.plan.nodes[s.segment]): s for s in stretches}
    assert by_node[4].source is None
    assert by_node[3].source is by_node[2].source is by_node[4]
    assert by_node[0].source is by_node[1].source is by_node[3]
    assert [stretches.index(by_node[node]) for node in (4, 3, 0)] == sorted(
        stretches.index(by_node[node]) for node in (4, 3, 0)
    )


def test_checkpoints_and_last_states_are_kept_under_their_ids(
    plan: CompiledPlan, at: Callable[[int, int], str]
) -> None:
    by_node = {int(plan.plan.nodes[s.segment]): s for s in planned(plan, Stored())}
    assert by_node[2].keep == {k: at(2, k) for k in (4, 6, 8, 9)}
    assert by_node[3].keep == {k: at(3, k) for k in (4, 5)}
    none = plan_work({plan.lanes[0]: [0, 1, 2, 3, 4]}, has=lambda s: False)
    assert all(set(stretch.keep) == {stretch.last} for stretch in none)


def test_only_what_is_asked_for_is_executed(plan: CompiledPlan) -> None:
    assert shown(plan, planned(plan, Stored(), leaves=(2,))) == {(4, 0): (1, 2), (2, 0): (3, 9)}


def test_where_all_is_stored_nothing_is_executed(plan: CompiledPlan, at: Callable[[int, int], str]) -> None:
    stored = Stored(at(0, 9), at(1, 9), at(2, 9))
    assert planned(plan, stored) == []
    assert sorted(stored.loaded) == sorted(stored.intact)  # nothing but the ends is looked at


def test_a_path_goes_on_from_its_latest_stored_state(plan: CompiledPlan, at: Callable[[int, int], str]) -> None:
    stretches = planned(plan, Stored(at(4, 2), at(3, 4), at(2, 4), at(2, 6), at(1, 9)))
    assert shown(plan, stretches) == {(3, 0): (5, 5), (0, 0): (6, 9), (2, 0): (7, 9)}
    assert {origin(s) for s in stretches if s.segment != plan.plan.segment_of_node[0]} == {at(3, 4), at(2, 6)}


def test_a_stored_split_is_read_once_for_all_its_children(plan: CompiledPlan, at: Callable[[int, int], str]) -> None:
    stored = Stored(at(3, 5))
    stretches = planned(plan, stored, leaves=(0, 1))
    assert shown(plan, stretches) == {(0, 0): (6, 9), (1, 0): (6, 9)}
    assert stored.loaded == [at(3, 5)]


def test_a_damaged_end_falls_back_to_the_checkpoint_before(plan: CompiledPlan, at: Callable[[int, int], str]) -> None:
    stored = Stored(at(2, 4), at(2, 6), at(4, 2), damaged=(at(2, 9), at(2, 8)))
    stretches = planned(plan, stored, leaves=(2,))
    assert shown(plan, stretches) == {(2, 0): (7, 9)}
    assert origin(stretches[0]) == at(2, 6)


def test_a_damaged_segment_falls_back_to_its_parent(plan: CompiledPlan, at: Callable[[int, int], str]) -> None:
    stored = Stored(at(4, 2), damaged=(at(3, 5), at(3, 4), at(0, 9)))
    stretches = planned(plan, stored, leaves=(0, 1))
    assert shown(plan, stretches) == {(3, 0): (3, 5), (0, 0): (6, 9), (1, 0): (6, 9)}
    assert origin(stretches[0]) == at(4, 2)


def test_what_is_to_be_executed_is_told_without_opening_a_state(
    plan: CompiledPlan, at: Callable[[int, int], str]
) -> None:
    stored = Stored(at(4, 2), at(3, 4), at(2, 4), at(2, 6), at(1, 9))
    terminals = plan.terminals({plan.lanes[0]: (0, 1, 2)})
    counted = plan_work(terminals, has=stored.has)
    assert stored.loaded == []
    assert shown(plan, counted) == shown(plan, planned(plan, stored))
    assert [len(stretch) for stretch in counted] == [len(stretch) for stretch in planned(plan, stored)]


def test_every_image_index_has_states_of_its_own() -> None:
    plan = compiled(images=2)
    ends = [plan.lanes[0].ids.final(leaf) for leaf in range(3)]
    stretches = planned(plan, Stored(*ends))
    assert {index for _, index in shown(plan, stretches)} == {1}
    assert len(stretches) == 5


def test_the_ledger_books_chains_and_steps(plan: CompiledPlan, at: Callable[[int, int], str]) -> None:
    (work,) = ledger_work(planned(plan, Stored(at(2, 6)), leaves=(2,)))
    assert work == (at(2, 3), 7, 9)


def test_paths_may_be_deeper_than_pythons_stack() -> None:
    n, steps = 1100, 1300
    merges = np.array([[0, 1], *([n + i, i + 2] for i in range(n - 2))])  # a chain
    tree = EmbeddingTree(merges, np.linspace(0.01, 0.99, n - 1), "ward")
    sampling = SamplingIdentity("d", {}, 4.0, 8, 8, "float32", 0, "per_root", 8)
    document = PlanDocument("t", "p", 1.0, {}, steps, 1, "e", "m", {}, sampling, "", ALL, (), (), (), 0, 0)
    deep = CompiledPlan(document, PlantedTree(tree, tuple(f"{i:05}" for i in range(n)), "e"))
    leaf = int(deep.plan.segment_of_node[0])
    stretches = plan_work({deep.lanes[0]: [leaf]}, has=lambda _: False)
    assert len(stretches) == len(deep.plan.path(0)) > 1000
