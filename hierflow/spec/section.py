"""What the sections of a document have in common."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict


class Section(BaseModel):
    """A part of a user's document: no other fields, no changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _number(value: object) -> object:
    if isinstance(value, bool):  # YAML reads yes and no so, and pydantic would read them as 1 and 0
        raise ValueError("is not a number")
    return value


def _finite(value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise ValueError("is not a finite number")
    return value


Number = Annotated[float, BeforeValidator(_number), AfterValidator(_finite)]
"""A finite number that was written as one."""
OptionalNumber = Annotated[float | None, BeforeValidator(_number), AfterValidator(_finite)]
"""One, or none."""
