"""The manifest: one parquet table, a row an image, that says what each image is and what it cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal, NamedTuple, get_args

import pyarrow as pa

from hierflow.images.checked_table import read_table, table_bytes
from hierflow.plan.lanes import Variant

Status = Literal["current", "outdated", "failed", "pending"]

_BEFORE_AXES = [
    pa.field("prompt_id", pa.string(), nullable=False),
    pa.field("image_index", pa.int64(), nullable=False),
    pa.field("prompt", pa.string(), nullable=False),
]
_AFTER_AXES = [
    pa.field("seed", pa.int64(), nullable=False),
    pa.field("negative_prompt", pa.string(), nullable=False),
    pa.field("image_width", pa.int64(), nullable=False),
    pa.field("image_height", pa.int64(), nullable=False),
    pa.field("partition", pa.string(), nullable=False),
    pa.field("node_path", pa.string(), nullable=False),
    pa.field("image_path", pa.string(), nullable=False),
    pa.field("image_sha256", pa.string(), nullable=False),
    pa.field("evaluations", pa.float64(), nullable=False),
    pa.field("evaluations_paid", pa.float64(), nullable=False),
    pa.field("run_id", pa.string(), nullable=False),
    pa.field("scores", pa.map_(pa.string(), pa.float64()), nullable=False),
    pa.field("status", pa.string(), nullable=False),
    pa.field("error", pa.string(), nullable=False),
]
MANIFEST_COLUMNS: tuple[str, ...] = tuple(column.name for column in _BEFORE_AXES + _AFTER_AXES)
"""The columns every manifest has, in order; the axes stand between `prompt` and `seed`. Prompts have no label that is
called like one of them."""

_INT64 = range(-(2**63), 2**63)


class Latents(NamedTuple):
    """Names the final latents of images: of one text, one variant and one image index."""

    prompt: str
    variant: Variant
    image_index: int


@dataclass(frozen=True)
class ImageRow:
    """One image of a set.

    Attributes:
        prompt_id: the prompt's id, unique in the set.
        image_index: which of the prompt's images, counted from 0.
        prompt: its text.
        axes: the values of the template's variables; an axis left out is null in the manifest.
        variant: its seed, its size, and the negative prompt if it is not the document's.
        negative_prompt: which it is; empty if there is none.
        partition: the key of the partition that makes it; empty where the plan leaves its prompt out.
        node_path: the nodes that served it, from the root down; empty there too.
        image_path: relative to the set's folder, with forward slashes; empty when there is no image.
        image_sha256: 64 hex digits of the file's bytes; empty when there is no image.
        evaluations: denoiser evaluations, this image's equal share of the planned states on its path; the
            column sums to the plan's total.
        evaluations_paid: what was executed for it, its equal part of what several images needed; it grows only where
            the image is lost and something has to be executed again.
        run_id: that run.
        scores: finite, by the scorer's name.
        status: `current`; `outdated`, the last good image of a prompt that failed since; `failed`, no image;
            `pending`, none yet.
        error: why it is not current; empty when it is.
        is_pending: whether it is not current though nothing has failed: a run has still to make it. No column.

    Raises:
        ValueError: `image_path` leaves the set's folder, or `status` is none of the four.
    """

    prompt_id: str
    image_index: int
    prompt: str
    axes: Mapping[str, Any]
    variant: Variant
    partition: str
    node_path: str
    image_path: str
    image_sha256: str
    evaluations: float
    evaluations_paid: float
    run_id: str
    scores: Mapping[str, float] = field(default_factory=dict)
    status: Status = "current"
    error: str = ""
    negative_prompt: str = ""
    is_pending: bool = False

    def __post_init__(self) -> None:
        path = PurePosixPath(self.image_path)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"image path {self.image_path!r} leaves the set's folder")
        if self.status not in get_args(Status):
            raise ValueError(f"status {self.status!r} is none of {', '.join(get_args(Status))}")

    @property
    def is_planned(self) -> bool:
        """Whether the plan has it; what cannot be encoded is left out."""
        return bool(self.partition)

    @property
    def seed(self) -> int:
        """Of its noise."""
        return self.variant.seed

    @property
    def image_width(self) -> int:
        """In pixels."""
        return self.variant.width

    @property
    def image_height(self) -> int:
        """In pixels."""
        return self.variant.height

    @property
    def latents(self) -> Latents:
        """What it is decoded from, which images of equal prompts may have in common."""
        return Latents(self.prompt, self.variant, self.image_index)


def build_manifest(rows: Sequence[ImageRow], axes: Sequence[str]) -> pa.Table:
    """The table of `rows`, in their order: the columns :data:`MANIFEST_COLUMNS` and one for each of `axes`.

    An axis of whole numbers only, numbers only or booleans only keeps that type; any other becomes text.

    Raises:
        ValueError: a score is not finite.
    """
    for row in rows:
        for name, score in row.scores.items():
            if not math.isfinite(score):
                raise ValueError(f"score {name!r} of prompt {row.prompt_id!r} is {score}, not a finite number")
    arrays = [_column(rows, column) for column in _BEFORE_AXES]
    arrays += [_axis([row.axes.get(axis) for row in rows]) for axis in axes]
    arrays += [_column(rows, column) for column in _AFTER_AXES]
    of_axes = [pa.field(axis, array.type) for axis, array in zip(axes, arrays[3:], strict=False)]
    return pa.Table.from_arrays(arrays, schema=pa.schema([*_BEFORE_AXES, *of_axes, *_AFTER_AXES]))


def manifest_bytes(table: pa.Table) -> bytes:
    """The parquet file of a manifest, with a checksum of its rows; deterministic."""
    return table_bytes(table)


def read_manifest(data: bytes) -> pa.Table:
    """The table in a file that :func:`manifest_bytes` wrote, equal to the one written.

    Raises:
        ValueError: the file is damaged, incomplete or no manifest; the message says which.
    """
    return read_table(data, "manifest")


def _column(rows: Sequence[ImageRow], column: pa.Field) -> pa.Array:
    values = [getattr(row, column.name) for row in rows]
    if column.name == "scores":
        values = [sorted(scores.items()) for scores in values]
    return pa.array(values, column.type)


def _axis(values: Sequence[Any]) -> pa.Array:
    kinds = {type(value) for value in values if value is not None}
    fits = all(value in _INT64 for value in values if type(value) is int)
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    if kinds == {int} and fits:
        return pa.array(values, pa.int64())
    if kinds in ({float}, {int, float}) and fits:
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    return pa.array([None if value is None else str(value) for value in values], pa.string())
