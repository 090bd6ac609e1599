"""Cron expressions, checked without Dagster."""

from __future__ import annotations

import re

NICKNAMES = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")
_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_NAMES = {
    3: ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
    4: ("sun", "mon", "tue", "wed", "thu", "fri", "sat"),
}
_PART = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/([1-9]\d*))?")


def is_cron(text: str) -> bool:
    """Whether `text` is a cron expression of five fields, each within its bounds."""
    fields = text.split()
    if len(fields) != len(_BOUNDS):
        return False
    return all(
        (match := _PART.fullmatch(part.lower())) is not None
        and all(bound is None or _within(place, bound) for bound in match.groups()[:2])
        for place, cron_field in enumerate(fields)
        for part in cron_field.split(",")
    )


def _within(place: int, value: str) -> bool:
    low, high = _BOUNDS[place]
    return value in _NAMES.get(place, ()) or (value.isdigit() and low <= int(value) <= high)
