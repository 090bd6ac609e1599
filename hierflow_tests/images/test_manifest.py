"""The manifest keeps every row as it is, and notices damage."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from hierflow.images import MANIFEST_COLUMNS, ImageRow, build_manifest, manifest_bytes, read_manifest
from hierflow.plan.lanes import Variant
from hierflow.prompts.prompt_set import RESERVED_COLUMNS

ROW = ImageRow(
    prompt_id="cat",
    image_index=0,
    prompt="a photo of a 🐈, «noir»",
    axes={"color": "red", "size": 3},
    variant=Variant(2**63 - 1, 64, 48),
    partition="cat-a1b2c3",
    node_path="0/3/7",
    image_path="images/cat-0123456789ab-0.png",
    image_sha256="ab" * 32,
    evaluations=11.4,
    evaluations_paid=12.0,
    run_id="run",
    scores={"clip_similarity": 0.31, "aesthetic": 5.5},
)
FAILED = replace(
    ROW, image_index=1, image_path="", image_sha256="", scores={}, status="failed", error="out of memory"
)
AXES = ["color", "size"]


def test_columns_stand_in_their_order_with_the_axes_after_the_prompt() -> None:
    names = build_manifest([ROW], AXES).column_names
    assert names == [*MANIFEST_COLUMNS[:3], *AXES, *MANIFEST_COLUMNS[3:]]
    assert list(MANIFEST_COLUMNS) == [
        *("prompt_id", "image_index", "prompt", "seed", "negative_prompt", "image_width", "image_height"),
        *("partition", "node_path", "image_path", "image_sha256"),
        *("evaluations", "evaluations_paid", "run_id", "scores", "status", "error"),
    ]


def test_rows_come_back_as_they_were() -> None:
    table = read_manifest(manifest_bytes(build_manifest([ROW, FAILED], AXES)))
    assert table.equals(build_manifest([ROW, FAILED], AXES))
    first, second = table.to_pylist()
    assert first["prompt"] == ROW.prompt
    assert first["seed"] == ROW.seed
    assert dict(first["scores"]) == ROW.scores
    assert (first["color"], first["size"]) == ("red", 3)
    assert (second["status"], second["error"], second["scores"]) == ("failed", "out of memory", [])


def test_an_empty_set_has_a_manifest_too() -> None:
    assert read_manifest(manifest_bytes(build_manifest([], AXES))).num_rows == 0


@pytest.mark.parametrize(
    ("values", "kind", "read"),
    [
        ([1, 2], pa.int64(), [1, 2]),
        ([1, 2.5], pa.float64(), [1.0, 2.5]),
        ([True, False], pa.bool_(), [True, False]),
        ([True, 2], pa.string(), ["True", "2"]),
        ([1, "two"], pa.string(), ["1", "two"]),
        ([2**70, 1], pa.string(), [str(2**70), "1"]),
        ([1, None], pa.int64(), [1, None]),
        ([None, None], pa.string(), [None, None]),
    ],
)
def test_an_axis_keeps_the_type_its_values_share(values: list[Any], kind: pa.DataType, read: list[Any]) -> None:
    rows = [replace(ROW, axes={} if value is None else {"a": value}) for value in values]
    column = build_manifest(rows, ["a"]).column("a")
    assert column.type == kind
    assert column.to_pylist() == read


def test_the_same_rows_give_the_same_bytes_in_whatever_order_scores_are_given() -> None:
    turned = replace(ROW, scores=dict(reversed(ROW.scores.items())))
    assert manifest_bytes(build_manifest([ROW], AXES)) == manifest_bytes(build_manifest([turned], AXES))


def test_no_flipped_bit_passes_for_the_truth() -> None:
    table = build_manifest([replace(ROW, image_index=index) for index in range(50)], AXES)
    data = manifest_bytes(table)
    refused = 0
    for place in range(0, len(data), 31):
        broken = bytearray(data)
        broken[place] ^= 0x10
        try:
            assert read_manifest(bytes(broken)).equals(table)  # a bit that nothing reads may flip
        except ValueError as error:
            assert "manifest" in str(error)  # noqa: PT017
            refused += 1
    assert refused > len(data) // 31 // 3


@pytest.mark.parametrize("keep", [0, 3, 500, -1, -9])
def test_a_truncated_file_is_refused(keep: int) -> None:
    with pytest.raises(ValueError, match="manifest"):
        read_manifest(manifest_bytes(build_manifest([ROW], AXES))[:keep])


def test_a_parquet_file_of_somebody_elses_is_refused() -> None:
    file = pa.BufferOutputStream()
    pa.parquet.write_table(build_manifest([ROW], AXES), file)
    with pytest.raises(ValueError, match="no checksum of its rows"):
        read_manifest(file.getvalue().to_pybytes())


def test_prompts_have_no_label_that_is_called_like_a_column() -> None:
    assert set(MANIFEST_COLUMNS) <= RESERVED_COLUMNS


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_is_refused(score: float) -> None:
    with pytest.raises(ValueError, match=r"'cat' is .*, not a finite number"):
        build_manifest([replace(ROW, scores={"clip_similarity": score})], AXES)


@pytest.mark.parametrize("path", ["/etc/passwd", "../secret.png", "images/../../x.png"])
def test_an_image_outside_the_sets_folder_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="leaves the set's folder"):
        replace(ROW, image_path=path)


def test_an_unknown_status_is_refused() -> None:
    with pytest.raises(ValueError, match="'done' is none of"):
        replace(ROW, status="done")  # type: ignore[arg-type]


def test_an_axis_may_hold_numbers_that_are_none() -> None:
    values = [float("nan"), float("inf"), 1.5]
    rows = [replace(ROW, prompt_id=str(at), axes={"x": value}) for at, value in enumerate(values)]
    found = read_manifest(manifest_bytes(build_manifest(rows, ["x"]))).column("x").to_pylist()
    assert [repr(value) for value in found] == ["nan", "inf", "1.5"]
