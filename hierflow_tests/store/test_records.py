"""Partition records: what a partition's run made, one a slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from hierflow.store.records import ImageRecord, PartitionRecord, RecordBook
from hierflow.store.storage import Storage
from hierflow_tests.store.damage import flip

GOOD = ImageRecord("p1", "t1", 0, "s1", "images/p1.png", "f" * 64, {"clip_similarity": 0.25}, "run", 12.5)
BAD = ImageRecord("p2", "t2", 0, "s2", error="the latents hold NaN")
RECORD = PartitionRecord("mug-123456", "slice-1", "plan", "run", (GOOD, BAD), "dec", {"clip_similarity": "1"}, 40, 30)


def test_a_record_comes_back_as_it_was(storage: Storage) -> None:
    RecordBook(storage).save(RECORD)
    assert RecordBook(storage).load("slice-1") == RECORD


def test_a_later_record_of_a_slice_replaces_the_earlier_one(storage: Storage) -> None:
    book = RecordBook(storage)
    book.save(RECORD)
    book.save(replace(RECORD, run="second", images=(GOOD,)))
    assert book.load("slice-1") == replace(RECORD, run="second", images=(GOOD,))
    assert len(book.all()) == 1


def test_records_that_nobody_asks_for_are_not_read(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    book, read, taken = RecordBook(storage), Storage.read_all, list[str]()
    for slice_ in ("slice-1", "slice-2", "slice-3"):
        book.save(replace(RECORD, slice=slice_))
    flip(storage, "records/slice-3.json")

    def noted(self: Storage, paths: Sequence[str]) -> dict[str, bytes]:
        taken.extend(paths)
        return read(self, paths)

    monkeypatch.setattr(Storage, "read_all", noted)
    assert book.all(besides=["slice-1", "of no record"]) == [replace(RECORD, slice="slice-2")]
    assert taken == ["records/slice-2.json", "records/slice-3.json"]


def test_a_record_with_a_failed_image_is_not_complete() -> None:
    assert not RECORD.complete
    assert replace(RECORD, images=(GOOD,)).complete
    assert replace(RECORD, images=()).complete


def test_a_slice_without_a_record_has_none(storage: Storage) -> None:
    assert RecordBook(storage).load("slice-1") is None
    assert RecordBook(storage).all() == []


def test_a_damaged_record_counts_as_none(storage: Storage) -> None:
    book = RecordBook(storage)
    book.save(RECORD)
    book.save(replace(RECORD, slice="slice-2"))
    flip(storage, "records/slice-1.json", at=100)
    assert book.load("slice-1") is None
    assert [record.slice for record in book.all()] == ["slice-2"]


def test_an_image_is_whole_only_with_the_size_it_was_written_with() -> None:
    image = replace(GOOD, size=10)
    assert image.is_whole({image.path: 10})
    assert not image.is_whole({image.path: 9})
    assert not image.is_whole({})
    assert not BAD.is_whole({"": 0})
