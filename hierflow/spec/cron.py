"""Cron expressions, checked without Dagster."""

from __future__ import annotations

import re

NICKNAMES = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")
_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_NAMES = {
    3: ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
    4: ("sun", "mon", "tue", "wed", "thu", "fri", "sat"),
}
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_PART = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/([1-9]\d*))?")


def check_cron(text: str) -> None:
    """Check a cron expression of five fields.

    Raises:
        ValueError: it is none, or none of its months has one of its days, so that it never occurs.
    """
    fields = text.split()
    if len(fields) != len(_BOUNDS):
        raise ValueError("is not a cron expression")
    _, _, days, months, _ = (_expand(place, field.lower()) for place, field in enumerate(fields))
    # Even with weekdays, which would occur: Dagster refuses `0 0 31 2 1`, and its daemon fails at others.
    if min(days) > max(_DAYS[month - 1] for month in months):
        raise ValueError("never occurs, as none of its months has such a day")


def _expand(place: int, field: str) -> set[int]:
    """The values that one field of an expression stands for; a range may go over the end, as in `fri-mon`."""
    low, high = _BOUNDS[place]
    values: set[int] = set()
    for part in field.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError("is not a cron expression")
        first, last, step = match.groups()
        start = low if first is None else _number(place, first)
        end = _number(place, last) if last else high if first is None or step else start
        span = [*range(start, end + 1)] if start <= end else [*range(start, high + 1), *range(low, end + 1)]
        values.update(span[:: int(step or 1)])
    return values


def _number(place: int, value: str) -> int:
    low, high = _BOUNDS[place]
    names = _NAMES.get(place, ())
    number = names.index(value) + (place == 3) if value in names else int(value) if value.isdecimal() else -1
    if not low <= number <= high:
        raise ValueError("is not a cron expression")
    return number
