"""A history has a row for every file that an image ever was, and says how it came, stayed and went."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hierflow.images import ImageRow, Version, build_manifest, history_bytes, manifest_bytes, read_history, updated
from hierflow_tests.images.histories import FIRST, image, night, told


def lives(versions: list[Version]) -> list[tuple[str, str, str, str, str]]:
    """Of every version: whose it is, how it began and in which night, how it ended and in which."""
    return [(v.prompt_id, v.began, v.began_run[6:], v.ended, v.ended_run[6:]) for v in versions]


def test_an_image_that_is_made_is_a_row_that_says_all_of_it() -> None:
    row = image("cat", paid=12.5)
    assert told([row]) == [
        Version(
            prompt_id="cat",
            image_index=0,
            prompt="a cat",
            image_path=row.image_path,
            image_sha256=row.image_sha256,
            made_run="made-1",
            made_at=FIRST - timedelta(hours=1),
            evaluations_paid=12.5,
            plan="plan-1",
            began="made",
            began_run="night-1",
            began_at=FIRST,
        )
    ]


def test_a_night_that_keeps_an_image_adds_no_row() -> None:
    (version,) = told(*[[image("cat")]] * 5)
    assert (version.kept, version.last_kept_run, version.last_kept_at) == (4, "night-5", FIRST + timedelta(days=4))
    assert (version.began_run, version.plan, version.ended, version.ended_at) == ("night-1", "plan-1", "", None)


def test_one_request_counts_once_however_often_it_tells_the_same() -> None:
    rows = [image("cat"), image("dog", 2)]
    for before in ([], told([image("cat"), image("dog"), image("owl")])):
        once = updated(before, rows, night(2))
        later = replace(night(2), at=FIRST + timedelta(days=9))
        assert updated(once, rows, later) == once


def test_an_image_that_is_another_file_is_replaced() -> None:
    old, new = told([image("cat")], [image("cat")], [image("cat", 2)])
    assert lives([old, new]) == [("cat", "made", "1", "replaced", "3"), ("cat", "made", "3", "", "")]
    assert (old.kept, old.ended_at, new.began_at) == (1, FIRST + timedelta(days=2), FIRST + timedelta(days=2))
    assert (old.prompt, new.prompt) == ("a cat", "a cat, version 2")


def test_an_image_nobody_asks_for_any_more_is_retired_with_its_prompt_or_alone() -> None:
    versions = told([image("cat"), image("cat", index=1), image("dog")], [image("cat")])
    assert [(v.prompt_id, v.image_index, v.ended) for v in versions] == [
        ("cat", 0, ""),
        ("cat", 1, "retired"),
        ("dog", 0, "retired"),
    ]


def test_what_is_retired_stays_told_and_is_not_told_again() -> None:
    once = told([image("cat"), image("dog")], [image("cat")])
    assert told([image("cat"), image("dog")], [image("cat")], [image("cat")])[1] == once[1]


def test_an_image_whose_file_is_gone_is_lost() -> None:
    assert lives(told([image("cat")], [image("cat", 0)], [image("cat", 0)])) == [("cat", "made", "1", "lost", "2")]


def test_an_image_that_comes_back_from_the_run_that_made_it_has_returned() -> None:
    for absent in ([], [image("cat", 0)], [image("cat", 2)]):
        first, *_, last = told([image("cat")], absent, [image("cat")])
        assert (last.began, last.began_run, last.made_run) == ("returned", "night-3", "made-1")
        assert (first.ended_run, last.image_sha256) == ("night-2", first.image_sha256)


def test_an_image_that_another_run_had_to_make_again_is_made_even_with_the_same_bytes() -> None:
    _, last = told([image("cat")], [], [image("cat", run="made-3")])
    assert (last.began, last.made_run, last.evaluations_paid) == ("made", "made-3", 10.0)


def test_what_versions_were_paid_can_be_summed() -> None:
    back = image("cat", paid=10.0)
    dearer = image("cat", paid=13.0)
    versions = told([back], [], [back], [], [dearer], [replace(dearer, evaluations_paid=15.0)])
    assert [v.evaluations_paid for v in versions] == [10.0, 0.0, 5.0]


def test_an_image_without_a_file_has_no_row_until_it_has_one() -> None:
    assert told([image("cat", 0)]) == []
    assert lives(told([image("cat", 0)], [image("cat")])) == [("cat", "made", "2", "", "")]


def test_an_outdated_image_is_kept_with_the_prompt_it_was_made_for() -> None:
    stale = replace(image("cat"), prompt="a black cat", status="outdated", error="stopped")
    (version,) = told([image("cat")], [stale])
    assert (version.kept, version.prompt, version.ended) == (1, "a cat", "")


def test_a_run_the_ledger_does_not_know_has_no_time() -> None:
    (version,) = told([image("cat", 7)])
    assert (version.made_run, version.made_at) == ("made-7", None)


def test_a_kept_image_whose_record_was_lost_keeps_its_first_maker_and_price() -> None:
    (version,) = told([image("cat")], [image("cat", run="made-2", paid=1.0)])
    assert (version.kept, version.made_run, version.evaluations_paid) == (1, "made-1", 10.0)


def test_a_kept_image_that_lies_elsewhere_is_found_where_it_lies() -> None:
    """As after a change of the decoder that changes no image."""
    (version,) = told([image("cat")], [replace(image("cat"), image_path="images/0b/cat.png")])
    assert (version.kept, version.image_path) == (1, "images/0b/cat.png")


def test_what_was_there_before_the_history_is_found() -> None:
    versions = updated([], [image("cat"), image("dog")], night(1), {("cat", 0)})
    assert [version.began for version in versions] == ["found", "made"]


def test_the_versions_that_have_not_ended_are_the_images_of_the_set() -> None:
    nights: list[list[ImageRow]] = [
        [image("cat"), image("dog")],
        [image("dog", 2), image("owl"), image("owl", index=1)],
        [image("cat"), image("dog"), image("owl", 0), image("owl", 2, index=1)],
    ]
    for number in range(1, 4):
        now = [version for version in told(*nights[:number]) if not version.ended]
        shown = {(row.prompt_id, row.image_index, row.image_path) for row in nights[number - 1] if row.image_path}
        assert {(*version.image, version.image_path) for version in now} == shown
        assert len(now) == len(shown)


STORY = told([image("cat"), image("dog🐈")], [image("cat", 2), image("owl", 9)], [image("cat", 2)])


@pytest.mark.parametrize("versions", [STORY, []], ids=["story", "empty"])
def test_a_history_comes_back_as_it_was(versions: list[Version]) -> None:
    data = history_bytes(versions)
    assert read_history(data) == versions
    assert history_bytes(read_history(data)) == data


def test_its_columns_are_named_and_typed_for_other_tools() -> None:
    table = pq.read_table(pa.BufferReader(history_bytes(STORY)))
    assert table.column_names == list(Version.__dataclass_fields__)
    kinds = {field.name: str(field.type) for field in table.schema}
    moments = {name for name, kind in kinds.items() if kind == "timestamp[us, tz=UTC]"}
    assert moments == {"made_at", "began_at", "last_kept_at", "ended_at"}
    assert {name for name, kind in kinds.items() if kind == "int64"} == {"image_index", "kept"}


def test_no_flipped_bit_passes_for_the_truth() -> None:
    data, refused = history_bytes(STORY), 0
    for place in range(0, len(data), 31):
        broken = bytearray(data)
        broken[place] ^= 0x10
        try:
            assert read_history(bytes(broken)) == STORY  # a bit that nothing reads may flip
        except ValueError as error:
            assert "history" in str(error)  # noqa: PT017
            refused += 1
    assert refused > len(data) // 31 // 3


@pytest.mark.parametrize("keep", [0, 3, 500, -1, -9])
def test_a_truncated_file_is_refused(keep: int) -> None:
    with pytest.raises(ValueError, match="history"):
        read_history(history_bytes(STORY)[:keep])


def test_a_manifest_is_no_history() -> None:
    with pytest.raises(ValueError, match="other columns"):
        read_history(manifest_bytes(build_manifest([image("cat")], [])))
