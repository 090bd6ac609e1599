"""Content hashes: one text for one value, on every machine."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierflow.hashing import bytes_digest, canonical_json, digest, seed_from, text_hash

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text("aé1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("aé1"), inner, max_size=3),
    max_leaves=8,
)


def test_the_format_is_sorted_compact_utf8() -> None:
    assert canonical_json({"b": [1, 2.5, None], "a": "é"}) == '{"a":"é","b":[1,2.5,null]}'.encode()


def test_stored_hashes_keep_their_values() -> None:
    assert text_hash("a café") == hashlib.sha256("a café".encode()).hexdigest()
    assert bytes_digest(b"x") == hashlib.sha256(b"x").hexdigest()
    assert digest("one", {"x": 2.0}) == hashlib.sha256(b'["one",{"x":2}]').hexdigest()


@given(JSON)
def test_tuples_order_of_keys_and_whole_floats_make_no_difference(value: Any) -> None:
    def respelled(item: Any) -> Any:
        if isinstance(item, dict):
            return {key: respelled(item[key]) for key in reversed(item)}
        if isinstance(item, list):
            return tuple(map(respelled, item))
        if isinstance(item, int) and not isinstance(item, bool) and abs(item) < 2**53:
            return float(item)
        return item

    assert digest(respelled(value)) == digest(value)


def test_what_differs_has_another_digest() -> None:
    values: list[Any] = [None, True, False, 1, 0, "1", "", 1.5, [], [[]], {}, [1, 2], [12], {"a": 1}, {"a": "1"}]
    assert len({digest(value) for value in values}) == len(values)
    assert digest("ab", "c") != digest("a", "bc") != digest(["ab", "c"])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"x": [-float("inf")]}])
def test_numbers_that_json_cannot_say_are_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="JSON"):
        digest(value)


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, object(), np.int64(3)])
def test_what_json_cannot_hold_is_refused_instead_of_being_guessed(value: Any) -> None:
    with pytest.raises(TypeError):
        digest(value)


def test_seeds_fit_a_generator_and_spread() -> None:
    seeds = [seed_from("noise", index) for index in range(1000)]
    assert len(set(seeds)) == 1000
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert 0.45 < np.mean([seed / 2**63 for seed in seeds]) < 0.55
    assert seed_from("noise", 0) == seed_from("noise", 0)
