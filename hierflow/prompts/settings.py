"""Columns that say how a row's own images are made: its seed, its size, what they must not show."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hierflow.errors import InputError

SETTINGS = ("seed", "negative_prompt", "image_width", "image_height")
"""A column or an axis of one of these names sets something; where a row's is blank the document's holds."""

_LARGEST = {"seed": 2**63 - 1, "image_width": 2**16, "image_height": 2**16}
_LARGEST_FLOAT = 2**53
_WHOLE = re.compile(r"([+-]?\d+)(\.0*)?", re.ASCII)


@dataclass(frozen=True, order=True)
class RowSettings:
    """What a row sets; None stands for what the document says."""

    seed: int | None = None
    negative_prompt: str | None = None
    image_width: int | None = None
    image_height: int | None = None

    def __bool__(self) -> bool:
        """Whether it sets anything."""
        return any(getattr(self, name) is not None for name in SETTINGS)


def row_settings(
    columns: Mapping[str, Sequence[Any]], rows: int, place: Callable[[int], str], file: Path | str | None
) -> tuple[RowSettings, ...]:
    """The settings of every row; empty if there are no such columns, or all of their cells are blank.

    Args:
        columns: of the source, labels among them.
        rows: how many rows it has.
        place, file: name a row's place, and the file, in errors.

    Raises:
        InputError: a seed or a size is no whole number, or out of range.
    """
    read = {
        name: [_value(name, value, place(row), file) for row, value in enumerate(columns[name])]
        for name in SETTINGS
        if name in columns
    }
    settings = tuple(RowSettings(**{name: values[row] for name, values in read.items()}) for row in range(rows))
    return settings if any(settings) else ()


def is_blank(value: Any) -> bool:
    """Whether a cell holds nothing: null, NaN, or text of spaces."""
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def whole_number(value: Any) -> int | None:
    """The whole number that a cell holds as a number or as text (42, `42`, `42.0`); None for anything else.

    pandas writes whole numbers beside blanks as 42.0. Beyond 2^53 such a number has lost its last digits.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        match = _WHOLE.fullmatch(value.strip())
        if match is None:
            return None
        number, is_float = int(match[1]), match[2] is not None
    else:
        try:
            number, is_float = int(value), not isinstance(value, int)
            if number != value:
                return None
        except (TypeError, ValueError, OverflowError):
            return None
    return None if is_float and abs(number) > _LARGEST_FLOAT else number


def _value(name: str, value: Any, place: str, file: Path | str | None) -> Any:
    if is_blank(value):
        return None
    if name == "negative_prompt":
        return str(value).strip()
    number = whole_number(value)
    if number is None or not (0 if name == "seed" else 8) <= number <= _LARGEST[name]:
        raise InputError(
            f"is not {'a seed' if name == 'seed' else 'a number of pixels'}",
            file=file,
            field=f"{place}, column {name}",
            value=value,
            remedy=f"write a whole number up to {_LARGEST[name]}, leave it blank, or rename the column",
        )
    return number
