"""Partition keys: given once, and passed on to whatever holds most of the old prompts."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from hierflow.plan.partitions import inherited_keys, new_key


def test_a_new_key_is_the_label_and_six_hex_digits_of_the_prompts() -> None:
    key = new_key("a-red-mug", ["h1", "h2"], [])
    assert re.fullmatch(r"a-red-mug-[0-9a-f]{6}", key)
    assert new_key("a-red-mug", ["h2", "h1"], []) == key
    assert new_key("a-red-mug", ["h2"], []) != key


def test_a_key_that_is_taken_grows_more_digits() -> None:
    key = new_key("mug", ["h1"], [])
    longer = new_key("mug", ["h1"], [key])
    assert longer.startswith(key)
    assert len(longer) == len(key) + 10


def test_a_bin_that_keeps_its_prompts_keeps_its_key() -> None:
    assert inherited_keys({"a": "123", "b": "456"}, ["456", "123"]) == {0: "b", 1: "a"}


def test_half_of_the_old_prompts_are_enough_and_less_are_not() -> None:
    assert inherited_keys({"a": "1234"}, ["12xyz"]) == {0: "a"}
    assert inherited_keys({"a": "12345"}, ["12"]) == {}


def test_only_the_old_bins_live_prompts_count() -> None:
    # The caller leaves out prompts that are gone: of 1234 only 1 and 2 are live, and 1 is half of them.
    assert inherited_keys({"a": "12"}, ["1"]) == {0: "a"}
    assert inherited_keys({"a": ""}, ["1"]) == {}


def test_how_much_else_a_new_bin_holds_does_not_matter() -> None:
    assert inherited_keys({"a": "12"}, ["12" + "pqrstuvwxyz"]) == {0: "a"}


def test_of_two_heirs_the_greater_overlap_wins_and_the_other_gets_none() -> None:
    assert inherited_keys({"a": "123456"}, ["12", "3456"]) == {1: "a"}


def test_a_bin_that_merges_two_old_ones_takes_the_key_it_shares_more_with() -> None:
    assert inherited_keys({"a": "12", "b": "345"}, ["12345"]) == {0: "b"}


def test_ties_go_to_the_first_key_and_the_first_bin() -> None:
    assert inherited_keys({"b": "34", "a": "12"}, ["1234"]) == {0: "a"}
    assert inherited_keys({"a": "1234"}, ["34", "12"]) == {0: "a"}


def test_a_key_that_lost_its_best_heir_goes_to_no_lesser_one_below_half() -> None:
    # Bin 0 shares 5 with b and 3 of 4 with a; b wins it. Bin 1 shares 1 of 4 with a: not half.
    assert inherited_keys({"a": "1234", "b": "56789"}, ["12356789", "4"]) == {0: "b"}


def test_without_an_earlier_plan_nothing_is_inherited() -> None:
    assert inherited_keys({}, ["12", "3"]) == {}


@settings(max_examples=200, deadline=None)
@given(
    old=st.lists(st.integers(0, 4), min_size=12, max_size=12),
    new=st.lists(st.integers(0, 4), min_size=12, max_size=12),
)
def test_keys_pass_one_to_one_and_never_for_less_than_half(old: list[int], new: list[int]) -> None:
    before = {f"k{b}": {t for t in range(12) if old[t] == b} for b in range(5)}
    after = [{t for t in range(12) if new[t] == b} for b in range(5)]
    heirs = inherited_keys(before, after)
    assert len(set(heirs.values())) == len(heirs)
    for index, key in heirs.items():
        assert 2 * len(after[index] & before[key]) >= len(before[key]) > 0
    for key in before.keys() - set(heirs.values()):  # no bin without a key was entitled to one that is left
        for index in set(range(5)) - heirs.keys():
            shared = len(after[index] & before[key])
            assert shared == 0 or 2 * shared < len(before[key])
