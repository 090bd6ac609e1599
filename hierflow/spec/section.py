"""What the sections of a document have in common."""

from __future__ import annotations

import math

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of a user's document: no other fields, no changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def number(value: object) -> object:
    """`value`, unless it is a boolean.

    Raises:
        ValueError: it is: YAML reads yes and no so, and pydantic would read them as 1 and 0.
    """
    if isinstance(value, bool):
        raise ValueError("is not a number")
    return value


def finite(value: float) -> float:
    """`value`, if it is finite.

    Raises:
        ValueError: it is not.
    """
    if not math.isfinite(value):
        raise ValueError("is not a finite number")
    return value
