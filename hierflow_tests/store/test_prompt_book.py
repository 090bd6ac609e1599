"""Prompt sets as runs saw them."""

from __future__ import annotations

import pytest

from hierflow.prompts import PromptSet
from hierflow.store.prompts import PromptBook
from hierflow.store.storage import DamagedFileError, Storage
from hierflow_tests.store.damage import damaged_copies

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


def test_damaged_prompts_are_noticed_or_were_harmed_where_it_does_not_matter(memory: Storage) -> None:
    book, path = PromptBook(memory), f"prompts/{FIRST.content_hash}.parquet"
    book.save(FIRST)
    noticed = 0
    for harmed in damaged_copies(memory.read(path), every=3):
        memory.write(path, harmed)
        try:
            assert book.current() == FIRST
        except DamagedFileError as error:
            noticed += "prompts/" in str(error)
    assert noticed > 500


def test_prompts_under_the_name_of_others_are_damaged(storage: Storage) -> None:
    book = PromptBook(storage)
    book.save(FIRST)
    book.save(SECOND)
    path = f"prompts/{FIRST.content_hash}.parquet"
    storage.write(path, storage.read(f"prompts/{SECOND.content_hash}.parquet"))
    with pytest.raises(DamagedFileError, match="does not hold what its name says"):
        book.load(FIRST.content_hash)


@pytest.mark.parametrize("harm", [b"", b"PAR1", None])
def test_damaged_prompts_are_stored_anew(storage: Storage, harm: bytes | None) -> None:
    book, path = PromptBook(storage), f"prompts/{FIRST.content_hash}.parquet"
    book.save(FIRST)
    if harm is None:
        storage.delete(path)
    else:
        storage.write(path, harm)
    book.save(FIRST)
    assert PromptBook(storage).current() == FIRST
