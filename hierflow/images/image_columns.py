"""What the gallery tells of every image, column by column, each value written once where many images have it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hierflow.images.manifest import ImageRow
from hierflow.images.page_template import MOST_OPTIONS


class ImageColumn(NamedTuple):
    """A column of the table beside an image.

    Where values repeat, `options` holds each once, in the order of their first occurrence, and `values` their places;
    otherwise `options` is None and `values` are the texts. Empty texts are not shown.
    """

    label: str
    options: list[str] | None
    values: Sequence[str | int]
    is_filter: bool


def image_columns(
    rows: Sequence[ImageRow], axes: Sequence[str], kinds: Sequence[str], steps: int | None
) -> list[ImageColumn]:
    """The columns of `rows`: first what is searched, the prompt id and the `axes`, then everything else.

    Args:
        rows: the images.
        axes: keys of the rows' `axes`.
        kinds: for every row, what became of it since the last run; empty texts if nothing is known.
        steps: of an image without sharing, where known.
    """
    of_steps = f" of {steps}" if steps else ""
    scores = sorted({name for row in rows for name in row.scores})
    several = any(row.image_index for row in rows)
    return [
        _column("Prompt id", [row.prompt_id for row in rows]),
        *(_column(axis, [_shown(row.axes.get(axis)) for row in rows], is_filter=True) for axis in axes),
        _column("status", [row.status for row in rows], is_filter=True),
        _column("change", kinds, is_filter=True),
        _column("Why", [row.error for row in rows]),
        _column("Image", [str(row.image_index + 1) if several else "" for row in rows]),
        *(_column(f"Score: {name}", [_score(row.scores.get(name)) for row in rows]) for name in scores),
        _column("Evaluations, its share", [_number(row.evaluations) + of_steps for row in rows]),
        _column("Evaluations, paid", [_number(row.evaluations_paid) for row in rows]),
        _column("Seed", [str(row.seed) for row in rows]),
        _column("Partition", [row.partition for row in rows]),
        _column("Run", [row.run_id for row in rows]),
        _column("Node path", [row.node_path for row in rows]),
        _column("SHA-256", [row.image_sha256 for row in rows]),
    ]


def _column(label: str, values: Sequence[str], is_filter: bool = False) -> ImageColumn:
    options = list(dict.fromkeys(values))
    is_filter = is_filter and 1 < len(options) <= MOST_OPTIONS
    if not is_filter and len(options) * 2 > len(values):
        return ImageColumn(label, None, values, False)
    place = {option: number for number, option in enumerate(options)}
    return ImageColumn(label, options, [place[value] for value in values], is_filter)


def _shown(value: object) -> str:
    return "—" if value is None else str(value)


def _score(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _number(value: float) -> str:
    return f"{value:,.2f}".rstrip("0").rstrip(".")
