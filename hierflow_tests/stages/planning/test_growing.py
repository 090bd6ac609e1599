"""What a plan makes of the tree before it: kept, retired, grafted, rebuilt; and where prompts are assigned."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierflow.errors import InputError
from hierflow.hashing import text_hash
from hierflow.plan.compiled import CompiledPlan
from hierflow.stages.planning.make_plan import WHOLE
from hierflow_tests.stages.plans import PRODUCTS, SAMPLING, Planner, final_of, key_of, several, states_of

MUGS, CHAIRS = several("mug", 1, 2, 3, 4), several("chair", 1, 2, 3, 4)


def assert_sound(compiled: CompiledPlan, texts: list[str]) -> None:
    """Every prompt lies in one partition, and everything adds up."""
    document = compiled.document
    hashes = {text_hash(text) for text in texts}
    held = [text for key in document.keys for text in compiled.texts_of(key)]
    assert sorted(held) == sorted(hashes)
    assert all(compiled.texts_of(key) for key in document.keys)
    dormant = [partition.key for partition in document.dormant]
    assert len({*document.keys, *dormant}) == len(document.keys) + len(dormant)
    assert set(dormant) <= set(document.tombstones)
    assert not set(document.tombstones) & set(document.keys)
    assert {compiled.planted.texts[leaf] for leaf in np.flatnonzero(compiled.live)} == hashes
    assert np.count_nonzero(compiled.live) == len(hashes)
    states = states_of(compiled)
    assert len(set(states)) == len(states) == document.planned
    by_owner = [len(compiled.segments_of(key)) for key in (None, *document.keys)]
    assert sum(by_owner) + np.count_nonzero(compiled.segment_owner >= len(document.keys)) == len(compiled.plan.nodes)


class TestTrees:
    def test_an_edit_keeps_every_other_prompts_states(self) -> None:
        planner = Planner()
        first = planner.plan([*MUGS, *CHAIRS])
        second = planner.plan([*several("mug", 1, 2, 3, 9), *CHAIRS])
        kept = final_of(first).keys() & final_of(second).keys()
        assert len(kept) == 7
        assert {text: final_of(second)[text] for text in kept} == {text: final_of(first)[text] for text in kept}
        assert set(states_of(first)) - set(states_of(second)) <= set(states_of(first))
        assert np.flatnonzero(~second.live).tolist() == [first.leaf_of[text_hash("mug 4")]]

    def test_new_prompts_share_steps_of_the_tree(self) -> None:
        planner = Planner()
        planner.plan([*MUGS, *CHAIRS])
        grown = planner.plan([*MUGS, *CHAIRS, "mug 9"])
        path = grown.plan.path(grown.leaf_of[text_hash("mug 9")])
        assert set(grown.planted.founders(int(grown.plan.nodes[path[0]]))) <= {text_hash(text) for text in MUGS}

    def test_with_no_tolerance_new_prompts_start_from_noise(self) -> None:
        planner = Planner(sharing={"graft_tolerance": 0.0})
        before = planner.plan([*MUGS, *CHAIRS])
        grown = planner.plan([*MUGS, *CHAIRS, "mug 9"])
        assert grown.document.planned == before.document.planned + 6

    def test_removing_and_adding_again_gives_the_same_tree_and_states(self) -> None:
        planner = Planner()
        first = planner.plan([*MUGS, *CHAIRS])
        less = planner.plan([*MUGS[1:], *CHAIRS])
        assert less.document.tree == first.document.tree
        assert less.document.planned < first.document.planned
        assert planner.plan([*MUGS, *CHAIRS]).document == first.document

    def test_a_partition_that_was_empty_comes_back_as_it_was(self) -> None:
        planner = Planner()
        first = planner.plan([*MUGS, *CHAIRS])
        key = key_of(first, "mug 1")
        less = planner.plan(CHAIRS)
        assert (less.document.tombstones, [p.key for p in less.document.dormant]) == ((key,), [key])
        back = planner.plan([*MUGS, *CHAIRS])
        assert back.document.tombstones == ()
        assert back.document.partition(key) == first.document.partition(key)
        assert final_of(back) == final_of(first)

    def test_the_order_of_the_prompts_has_no_say(self) -> None:
        plans = []
        for turn in (1, -1):
            planner = Planner()
            planner.plan([*MUGS, *CHAIRS][::turn])
            plans.append(planner.plan([*MUGS, *CHAIRS, "mug 9", "lamp 1", "chair 7"][::turn]))
        one, other = plans
        assert one.planted.id == other.planted.id
        assert one.document.partitions == other.document.partitions

    def test_no_prompt_is_where_it_was_and_the_tree_is_kept_all_the_same(self) -> None:
        planner = Planner()
        planner.plan([*MUGS, *CHAIRS])
        others = [*several("mug", 11, 12), *several("chair", 11, 12)]
        grown = planner.plan(others)
        assert grown.planted.tree.leaves == 12
        assert_sound(grown, others)

    @pytest.mark.parametrize(
        "change",
        [
            {"sharing": {"tau": 0.9}},
            {"sharing": {"linkage": "average"}},
            {"sharing": {"tree": "fresh"}},
            {"diffusion": {"steps": 7}},
            {"encoder": "other"},
            {"sampling": replace(SAMPLING, seed=1)},
        ],
        ids=str,
    )
    def test_what_makes_every_image_anew_founds_a_fresh_tree(self, change: dict[str, Any]) -> None:
        planner = Planner()
        planner.plan([*MUGS, *CHAIRS])
        for name, value in change.items():
            if name in planner.settings:
                planner.settings[name] |= value
            else:
                setattr(planner, name, value)
        grown = planner.plan([*MUGS, *CHAIRS, "mug 9"])
        assert grown.planted.growth is None
        assert grown.live.all()

    @pytest.mark.parametrize(
        "change",
        [
            {"partitions": {"max_prompts": 9}},
            {"diffusion": {"images_per_prompt": 2}},
            {"sharing": {"max_drift": 1.0}},
        ],
        ids=str,
    )
    def test_what_changes_no_image_keeps_the_tree(self, change: dict[str, dict[str, Any]]) -> None:
        planner = Planner()
        first = planner.plan([*MUGS, *CHAIRS])
        for name, fields in change.items():
            planner.settings[name] |= fields
        grown = planner.plan([*MUGS, *CHAIRS, "mug 9"])
        assert grown.planted.growth is not None
        assert final_of(first).items() <= final_of(grown).items()

    def test_a_tree_that_has_not_run_is_not_kept(self) -> None:
        planner = Planner()
        planner.plan([*MUGS, *CHAIRS], has_run=False)
        assert planner.plan([*MUGS, "chair 9"]).planted.tree.leaves == 5


class TestPartitions:
    def test_a_graft_joins_its_hosts_partition_while_that_has_room(self) -> None:
        planner = Planner(partitions={"max_prompts": 5})
        first = planner.plan([*MUGS, *CHAIRS])
        grown = planner.plan([*MUGS, *CHAIRS, "mug 9"])
        assert key_of(grown, "mug 9") == key_of(first, "mug 1")
        assert set(grown.document.keys) == set(first.document.keys)
        assert grown.document.overflow == ""

    def test_without_room_it_opens_an_overflow_partition_and_the_next_ones_fill_that(self) -> None:
        planner = Planner()
        first = planner.plan([*MUGS, *CHAIRS])
        texts = [*MUGS, *CHAIRS, "mug 9"]
        grown = planner.plan(texts)
        assert key_of(grown, "mug 9") == grown.document.overflow not in first.document.keys
        for text in ("chair 9", "lamp 1", "mug 10"):
            texts = [*texts, text]
            filled = planner.plan(texts)
            assert key_of(filled, text) == grown.document.overflow
        texts = [*texts, "lamp 2"]
        another = planner.plan(texts)
        assert key_of(another, "lamp 2") == another.document.overflow != grown.document.overflow
        assert_sound(another, texts)

    def test_an_edit_takes_the_place_that_it_leaves(self) -> None:
        planner = Planner()
        first = planner.plan([*MUGS, *CHAIRS])
        texts = [*several("mug", 1, 2, 3, 9), *CHAIRS]
        grown = planner.plan(texts)
        assert key_of(grown, "mug 9") == key_of(first, "mug 1")
        assert_sound(grown, texts)

    def test_a_prompt_that_comes_back_takes_room_before_a_graft_does(self) -> None:
        planner = Planner()
        first = planner.plan([*MUGS, *CHAIRS])
        planner.plan([*MUGS[1:], *CHAIRS])
        both = planner.plan([*MUGS, *CHAIRS, "mug 9"])
        assert len(both.texts_of(key_of(first, "mug 1"))) == 4
        assert key_of(both, "mug 9") == both.document.overflow

    def test_grafts_above_the_cut_go_into_the_overflow_partition(self) -> None:
        planner = Planner(sharing={"tau": 9.0})  # there is a trunk, and everybody starts from one node
        planner.plan([*MUGS, *CHAIRS])
        grown = planner.plan([*MUGS[:2], *CHAIRS[:2], "lamp 1"])
        assert grown.segment_owner[0] == -1
        assert key_of(grown, "lamp 1") == grown.document.overflow
        assert grown.plan.path(grown.leaf_of[text_hash("lamp 1")])[0] == 0

    def test_clusters_are_no_larger_than_a_partition(self) -> None:
        planner = Planner()
        texts = [*MUGS, *CHAIRS]
        planner.plan(texts)
        texts += several("lamp", *range(1, 12))
        grown = planner.plan(texts)
        assert all(len(grown.texts_of(key)) <= 4 for key in grown.document.keys)
        assert_sound(grown, texts)

    def test_an_overflow_partition_that_was_emptied_is_filled_again(self) -> None:
        planner = Planner()
        planner.plan([*MUGS, *CHAIRS])
        opened = planner.plan([*MUGS, *CHAIRS, "lamp 1"]).document.overflow
        empty = planner.plan([*MUGS, *CHAIRS])
        assert opened in empty.document.tombstones
        filled = planner.plan([*MUGS, *CHAIRS, "sofa 2"])
        assert key_of(filled, "sofa 2") == opened
        assert filled.document.tombstones == ()


class TestRebuilding:
    def test_only_the_partitions_own_images_change(self) -> None:
        planner = Planner()
        planner.plan([*MUGS, *CHAIRS])
        texts = [*several("mug", 1, 2, 8, 9), *CHAIRS]
        grown = planner.plan(texts)
        key = key_of(grown, "mug 1")
        rebuilt = planner.plan(texts, rebuild=key)
        changed = {text for text, state in final_of(grown).items() if final_of(rebuilt)[text] != state}
        assert changed
        assert changed <= set(grown.texts_of(key))
        assert rebuilt.partition_of_text() == grown.partition_of_text()
        assert_sound(rebuilt, texts)
        assert planner.plan(texts).document == rebuilt.document

    def test_it_goes_on_from_the_states_it_started_from(self) -> None:
        planner = Planner(sharing={"tau": 9.0})
        planner.plan([*MUGS, *CHAIRS])
        texts = [*several("mug", 1, 2, 8, 9), *CHAIRS]
        grown = planner.plan(texts)
        key = key_of(grown, "mug 8")
        rebuilt = planner.plan(texts, rebuild=key)

        def starts(compiled: CompiledPlan) -> set[str]:
            own = set(compiled.segments_of(key).tolist())
            parents = {int(compiled.plan.parent[segment]) for segment in own} - own
            return {compiled.lanes[0].ids.end(parent) if parent >= 0 else "noise" for parent in parents}

        assert starts(rebuilt) == starts(grown) != {"noise"}

    def test_it_is_what_a_fresh_tree_over_its_prompts_would_be(self) -> None:
        planner = Planner(sharing={"tau": 0.9})  # mugs and chairs share nothing
        planner.plan([*MUGS, *CHAIRS])
        texts = [*several("mug", 1, 2, 8, 9), *CHAIRS]
        key = key_of(planner.plan(texts), "mug 1")
        rebuilt = planner.plan(texts, rebuild=key)
        fresh = Planner(sharing={"tau": 0.9}).plan(texts)
        assert final_of(rebuilt) == final_of(fresh)
        assert rebuilt.document.planned == fresh.document.planned

    def test_without_anything_to_better_it_changes_nothing(self) -> None:
        planner = Planner()
        first = planner.plan([*MUGS, *CHAIRS])
        rebuilt = planner.plan([*MUGS, *CHAIRS], rebuild=key_of(first, "mug 1"))
        assert final_of(rebuilt) == final_of(first)

    def test_others_may_have_grafts_on_what_is_rebuilt(self) -> None:
        planner = Planner()
        first = planner.plan([*MUGS, *CHAIRS])
        texts = [*MUGS, *CHAIRS, "mug 9"]
        grown = planner.plan(texts)
        assert key_of(grown, "mug 9") == grown.document.overflow
        rebuilt = planner.plan(texts, rebuild=key_of(first, "mug 1"))
        assert final_of(rebuilt) == final_of(grown)
        assert_sound(rebuilt, texts)

    def test_nothing_of_its_own_may_be_left_where_others_have_grafts(self) -> None:
        planner = Planner(sharing={"tau": 0.5})
        planner.plan([*several("mug", 1, 2), *several("chair", 1, 2), *CHAIRS[2:]])
        planner.plan([*several("mug", 1, 2), *CHAIRS, "mug 9"])
        texts = [*CHAIRS, "mug 9"]
        grown = planner.plan(texts)
        for key in grown.document.keys:
            assert_sound(planner.plan(texts, rebuild=key), texts)

    def test_the_whole_set_is_founded_anew(self) -> None:
        planner = Planner()
        planner.plan([*MUGS, *CHAIRS])
        texts = [*several("mug", 1, 2, 8, 9), *CHAIRS]
        grown = planner.plan(texts)
        fresh = planner.plan(texts, rebuild=WHOLE)
        assert fresh.planted.growth is None
        assert set(fresh.document.keys) == set(grown.document.keys)

    def test_a_partition_that_is_none_is_refused(self) -> None:
        planner = Planner()
        keys = planner.plan([*MUGS, *CHAIRS]).document.keys
        with pytest.raises(InputError, match=f"^--rebuild: 'sofas' is not a partition of the set; .*{keys[0]}"):
            planner.plan([*MUGS, *CHAIRS], rebuild="sofas")

    def test_before_the_first_plan_there_is_no_partition_to_rebuild(self) -> None:
        with pytest.raises(InputError, match=r"^--rebuild: 'sofas' is not a partition of the set; name none\.$"):
            Planner().plan([*MUGS, *CHAIRS], rebuild="sofas")

    @pytest.mark.parametrize("change", [{"tree": "fresh"}, {"tau": 0.7}])
    def test_a_partition_of_a_tree_that_is_not_kept_is_not_rebuilt_by_itself(self, change: dict[str, Any]) -> None:
        planner = Planner()
        key = planner.plan([*MUGS, *CHAIRS]).document.keys[0]
        planner.settings["sharing"] |= change
        with pytest.raises(InputError, match=rf"^--rebuild: '{key}' cannot be rebuilt by itself, .*; leave it out"):
            planner.plan([*MUGS, *CHAIRS], rebuild=key)
        with pytest.raises(InputError, match=rf"^--rebuild: 'sofas' is not a partition of the set; .*{key}"):
            planner.plan([*MUGS, *CHAIRS], rebuild="sofas")
        planner.plan([*MUGS, *CHAIRS], rebuild=WHOLE)


POOL = [f"{product} {number}" for product in PRODUCTS for number in range(5)]


given_edits = given(
    days=st.lists(
        st.tuples(st.sets(st.sampled_from(POOL), min_size=1, max_size=9), st.integers(0, 5)), min_size=2, max_size=6
    ),
    tau=st.sampled_from([0.0, 0.5, 1.0, 9.0]),
    tolerance=st.sampled_from([0.0, 0.9, 5.0]),
    max_prompts=st.integers(1, 5),
)


@settings(max_examples=25, deadline=None)
@given_edits
def test_whatever_is_edited_and_rebuilt_plans_are_sound(
    days: list[tuple[set[str], int]], tau: float, tolerance: float, max_prompts: int
) -> None:
    edit_and_rebuild(days, tau, tolerance, max_prompts)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given_edits
def test_so_it_is_for_many_more(
    days: list[tuple[set[str], int]], tau: float, tolerance: float, max_prompts: int
) -> None:
    edit_and_rebuild(days, tau, tolerance, max_prompts)


def edit_and_rebuild(days: list[tuple[set[str], int]], tau: float, tolerance: float, max_prompts: int) -> None:
    """Plan every day's prompts, rebuild the partition it chooses, and check each plan against those before."""
    planner = Planner(sharing={"tau": tau, "graft_tolerance": tolerance}, partitions={"max_prompts": max_prompts})
    home: dict[str, str] = {}
    final: dict[str, str] = {}
    ever: set[str] = set()
    for wanted, choice in days:
        texts = sorted(wanted)
        plan = planner.plan(texts)
        assert_sound(plan, texts)
        assert_assigned_once(plan, home)
        revived = {text for text in plan.leaf_of if text in ever and text not in final}
        news = {text for text in plan.leaf_of if text not in ever}
        held = Counter(plan.partition_of_text().values())
        for text in news:
            assert held[home[text]] <= max_prompts + len(revived)
        same = final.keys() & final_of(plan).keys()
        assert {text: final_of(plan)[text] for text in same} == {text: final[text] for text in same}
        final, ever = final_of(plan), ever | plan.leaf_of.keys()
        if choice < len(plan.document.keys):
            key = plan.document.keys[choice]
            rebuilt = planner.plan(texts, rebuild=key)
            assert_sound(rebuilt, texts)
            assert_assigned_once(rebuilt, home)
            changed = {text for text in final if final_of(rebuilt)[text] != final[text]}
            assert changed <= set(plan.texts_of(key))
            final = final_of(rebuilt)


def assert_assigned_once(compiled: CompiledPlan, home: dict[str, str]) -> None:
    """Every prompt is where it has always been; `home` learns of the new ones."""
    for text, key in compiled.partition_of_text().items():
        assert home.setdefault(text, key) == key
