"""The set itself: distinct texts, hashes, the table it is stored as."""

from __future__ import annotations

import datetime
import math
from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierflow.hashing import text_hash
from hierflow.prompts import PromptSet
from hierflow.prompts.prompt_set import RESERVED_COLUMNS

TWO_IDS_OF_ONE_TEXT = PromptSet(
    ids=("a", "b", "c"), texts=("dog", "cat", "dog"), columns={"n": (1, 2, 3), "m": ("x", "y", "z")}
)

plain = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
of_one_type = st.sampled_from(
    [
        plain,
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False),
        st.dates(),
        st.binary(max_size=4),
    ]
)


@st.composite
def prompt_sets(draw: st.DrawFn) -> PromptSet:
    ids = draw(st.lists(plain, max_size=6, unique=True))
    texts = draw(st.lists(plain, min_size=len(ids), max_size=len(ids)))
    names = draw(st.lists(plain.filter(lambda name: name not in RESERVED_COLUMNS), max_size=3, unique=True))
    columns = {}
    for name in names:
        values = draw(of_one_type) | st.none()
        columns[name] = tuple(draw(st.lists(values, min_size=len(ids), max_size=len(ids))))
    return PromptSet(tuple(ids), tuple(texts), columns)


@given(prompt_sets())
def test_a_set_survives_its_table(prompts: PromptSet) -> None:
    again = PromptSet.from_table(prompts.to_table())
    assert again == prompts
    assert list(again.columns) == list(prompts.columns)
    assert again.content_hash == prompts.content_hash


@given(prompt_sets())
def test_distinct_texts_cover_every_row_once(prompts: PromptSet) -> None:
    assert len(set(prompts.distinct)) == len(prompts.distinct) == len(prompts.hashes)
    rows = [row for text in prompts.hashes for row in prompts.rows_of(text)]
    assert sorted(rows) == list(range(len(prompts)))
    assert all(prompts.texts[prompts.rows_of(text_hash(text))[0]] == text for text in prompts.distinct)


def test_distinct_texts_come_in_order_of_first_appearance() -> None:
    assert TWO_IDS_OF_ONE_TEXT.distinct == ("dog", "cat")
    assert TWO_IDS_OF_ONE_TEXT.hashes == (text_hash("dog"), text_hash("cat"))
    assert TWO_IDS_OF_ONE_TEXT.rows_of(text_hash("dog")) == (0, 2)
    assert len(TWO_IDS_OF_ONE_TEXT) == 3


def test_rows_of_an_unknown_hash_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        TWO_IDS_OF_ONE_TEXT.rows_of(text_hash("cow"))


def test_the_table_has_ids_texts_and_hashes_first() -> None:
    table = TWO_IDS_OF_ONE_TEXT.to_table()
    assert table.column_names == ["prompt_id", "prompt", "text_hash", "n", "m"]
    assert table.column("text_hash").to_pylist()[2] == text_hash("dog")


@pytest.mark.parametrize(
    "other",
    [
        replace(TWO_IDS_OF_ONE_TEXT, ids=("a", "b", "d")),
        replace(TWO_IDS_OF_ONE_TEXT, texts=("dog", "cat", "cow")),
        replace(TWO_IDS_OF_ONE_TEXT, columns={}),
        replace(TWO_IDS_OF_ONE_TEXT, columns={"n": (1, 2, 4), "m": ("x", "y", "z")}),
        replace(TWO_IDS_OF_ONE_TEXT, columns={"m": ("x", "y", "z"), "n": (1, 2, 3)}),
        PromptSet(ids=("b", "a", "c"), texts=("cat", "dog", "dog"), columns={}),
    ],
)
def test_the_content_hash_moves_with_ids_texts_columns_and_order(other: PromptSet) -> None:
    assert other.content_hash != TWO_IDS_OF_ONE_TEXT.content_hash


def test_values_json_cannot_say_are_hashed_as_text() -> None:
    odd = (math.nan, datetime.date(2024, 5, 1), b"x", math.inf)
    one, other = (PromptSet(tuple("abcd"), tuple("abcd"), {"v": v}) for v in (odd, (*odd[:3], -math.inf)))
    assert one.content_hash != other.content_hash


@pytest.mark.parametrize(
    "parts",
    [
        {"ids": ("a",), "texts": ("dog", "cat")},
        {"ids": ("a", "b"), "texts": ("dog", "cat"), "columns": {"n": (1,)}},
        {"ids": ("a", "a"), "texts": ("dog", "cat")},
        {"ids": ("a",), "texts": ("dog",), "columns": {"seed": (1,)}},
    ],
)
def test_rows_that_do_not_fit_together_are_refused(parts: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"one value a row|unique|manifest"):
        PromptSet(**parts)


def test_a_table_of_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match="no column prompt_id, text_hash"):
        PromptSet.from_table(pa.table({"prompt": ["dog"]}))


def test_a_table_whose_text_was_changed_is_refused() -> None:
    table = TWO_IDS_OF_ONE_TEXT.to_table()
    changed = table.set_column(1, "prompt", pa.array(["dog", "cow", "dog"]))
    with pytest.raises(ValueError, match="'b' does not have its recorded hash"):
        PromptSet.from_table(changed)


def test_whole_numbers_too_large_for_a_signed_one_survive() -> None:
    prompts = PromptSet(("a", "b"), ("x", "y"), {"serial": (2**64 - 1, None)})
    assert PromptSet.from_table(prompts.to_table()) == prompts
