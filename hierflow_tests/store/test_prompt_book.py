"""Prompt sets as runs saw them."""

from __future__ import annotations

import pytest

from hierflow.prompts import PromptSet
from hierflow.store.prompts import PromptBook
from hierflow.store.storage import DamagedFileError, Storage
from hierflow_tests.store.damage import flip

FIRST = PromptSet(("a", "b"), ("a cat", "a dög"), {"style": ("photo", "oil")})
SECOND = PromptSet(("a",), ("a cow",))


def test_the_prompts_stored_last_are_current_and_earlier_ones_stay(storage: Storage) -> None:
    book = PromptBook(storage)
    book.save(FIRST)
    book.save(SECOND)
    assert PromptBook(storage).current() == SECOND
    assert PromptBook(storage).load(FIRST.content_hash) == FIRST


def test_prompts_that_are_not_stored_are_missing(storage: Storage) -> None:
    with pytest.raises(FileNotFoundError):
        PromptBook(storage).current()
    with pytest.raises(FileNotFoundError):
        PromptBook(storage).load("0" * 64)


@pytest.mark.parametrize("at", [0, -1])
def test_damaged_prompts_are_noticed(storage: Storage, at: int) -> None:
    book = PromptBook(storage)
    book.save(FIRST)
    flip(storage, f"prompts/{FIRST.content_hash}.parquet", at)
    with pytest.raises(DamagedFileError, match="prompts/"):
        book.current()


def test_prompts_under_the_name_of_others_are_damaged(storage: Storage) -> None:
    book = PromptBook(storage)
    book.save(FIRST)
    book.save(SECOND)
    path = f"prompts/{FIRST.content_hash}.parquet"
    storage.write(path, storage.read(f"prompts/{SECOND.content_hash}.parquet"))
    with pytest.raises(DamagedFileError, match="does not hold what its name says"):
        book.load(FIRST.content_hash)
