"""The account by any column of the prompts: what each campaign, SKU or style took and saved."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hierflow.audit.account import Audit
from hierflow.errors import InputError
from hierflow.images import ImageRow
from hierflow.prompts.settings import SETTINGS

FEW = 200
"""The most distinct values a column may have to be broken down unasked."""

_OWN_COLUMNS = ("prompt_id", "partition")


@dataclass(frozen=True)
class ColumnShare:
    """One value of a column, and its part of the account. Over all values every figure sums to the set's.

    Attributes:
        value: as the prompts have it; None where they have none.
        images: how many the plan has; a prompt that it leaves out counts nowhere.
        made: how many of them are current.
        standard: evaluations without sharing; images of one text share them, as they share one image's latents.
        planned: its images' equal shares of the planned states on their paths.
        paid: what was executed for its current images, by earlier plans' runs included.
        gpu_seconds: its part of what the plan's runs took of accelerators, see :func:`by_column`.
        cost: its part of what they cost; None where that is not known.
    """

    value: Any
    images: int
    made: int
    standard: float
    planned: float
    paid: float
    gpu_seconds: float
    cost: float | None

    @property
    def saved(self) -> float:
        """1 - planned / standard."""
        return 1.0 - self.planned / self.standard

    def as_json(self) -> dict[str, Any]:
        """For `--json`, the stored file and a table; a value that JSON does not know becomes text."""
        sayable = isinstance(self.value, str | int | None) or (
            isinstance(self.value, float) and math.isfinite(self.value)
        )
        return {**asdict(self), "value": self.value if sayable else str(self.value), "saved": self.saved}


def by_column(rows: Sequence[ImageRow], steps: int, column: str, account: Audit) -> list[ColumnShare]:
    """Break an account down by the values of one column, most planned evaluations first.

    GPU seconds and cost are those of the account's runs, prior, decoder and failures included. They are divided in
    proportion to the evaluations that these runs executed for images that are current, or in equal parts where they
    executed none.

    Args:
        rows: the images as they are.
        steps: denoising steps of an image.
        column: of :func:`columns_of`.
        account: over all runs of the plan.

    Raises:
        InputError: there is no such column.
    """
    if column not in columns_of(rows):
        raise InputError(
            "is not a column of the prompts",
            file="--by",  # not a field of the document
            value=column,
            remedy=f"name one of {', '.join(columns_of(rows))}",
        )
    rows = [row for row in rows if row.is_planned]
    images = Counter(row.latents for row in rows)
    weights = _weights(rows, account)
    groups: dict[Any, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        groups[_value(row, column)].append(place)
    total, cost = sum(weights), account.cost.spent if account.cost else None
    shares = []
    for value, places in groups.items():
        own = [rows[place] for place in places]
        part = sum(weights[place] for place in places) / total
        shares.append(
            ColumnShare(
                value=value,
                images=len(own),
                made=sum(row.status == "current" for row in own),
                standard=sum(steps / images[row.latents] for row in own),
                planned=sum(row.evaluations for row in own),
                paid=sum(row.evaluations_paid for row in own if row.status == "current"),
                gpu_seconds=part * account.gpu.seconds,
                cost=None if cost is None else part * cost,
            )
        )
    return sorted(shares, key=lambda share: -round(share.planned, 6))


def by_columns(
    rows: Sequence[ImageRow], steps: int, account: Audit
) -> tuple[dict[str, list[ColumnShare]], dict[str, int]]:
    """Break an account down by every axis that has at most :data:`FEW` values, and by settings of more than one.

    Returns:
        The shares by column, and the columns left out with their numbers of values.
    """
    columns = [column for column in columns_of(rows) if column not in _OWN_COLUMNS]
    values = {column: len({_value(row, column) for row in rows}) for column in columns}
    told = {column: count for column, count in values.items() if count > 1 or column not in SETTINGS}
    few = {column: by_column(rows, steps, column, account) for column, count in told.items() if count <= FEW}
    return few, {column: count for column, count in told.items() if count > FEW}


def columns_of(rows: Sequence[ImageRow]) -> list[str]:
    """The columns an account can be broken down by: the axes, the settings, then `prompt_id` and `partition`."""
    return [*dict.fromkeys(name for row in rows for name in row.axes), *SETTINGS, *_OWN_COLUMNS]


def _value(row: ImageRow, column: str) -> Any:
    value = getattr(row, column) if column in (*SETTINGS, *_OWN_COLUMNS) else row.axes.get(column)
    return "nan" if value != value else value  # NaN is not equal to itself: every row would be a value of its own


def _weights(rows: Sequence[ImageRow], account: Audit) -> list[float]:
    """How much of what the account's runs took each image has to carry, up to a factor."""
    runs = {entry["run"] for entry in account.runs}
    paid = [row.evaluations_paid * (row.status == "current" and row.run_id in runs) for row in rows]
    return paid if any(paid) else [1.0] * len(rows)
