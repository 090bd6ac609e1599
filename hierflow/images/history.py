"""The history of a set: every file that an image of it ever was, by which run it came, stayed and went."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import pyarrow as pa

from hierflow.images.changes import change
from hierflow.images.checked_table import read_table, table_bytes
from hierflow.images.manifest import ImageRow

Began = Literal["made", "returned", "found"]
Ended = Literal["", "replaced", "retired", "lost"]

_MOMENT = pa.timestamp("us", tz="UTC")
_SCHEMA = pa.schema(
    [
        pa.field("prompt_id", pa.string(), nullable=False),
        pa.field("image_index", pa.int64(), nullable=False),
        pa.field("prompt", pa.string(), nullable=False),
        pa.field("image_path", pa.string(), nullable=False),
        pa.field("image_sha256", pa.string(), nullable=False),
        pa.field("made_run", pa.string(), nullable=False),
        pa.field("made_at", _MOMENT),
        pa.field("evaluations_paid", pa.float64(), nullable=False),
        pa.field("plan", pa.string(), nullable=False),
        pa.field("began", pa.string(), nullable=False),
        pa.field("began_run", pa.string(), nullable=False),
        pa.field("began_at", _MOMENT, nullable=False),
        pa.field("kept", pa.int64(), nullable=False),
        pa.field("last_kept_run", pa.string(), nullable=False),
        pa.field("last_kept_at", _MOMENT),
        pa.field("ended", pa.string(), nullable=False),
        pa.field("ended_run", pa.string(), nullable=False),
        pa.field("ended_at", _MOMENT),
    ]
)


@dataclass(frozen=True)
class Version:
    """One file that an image was, for as long as the set had it.

    Two kinds of runs are named. `made_run` is the run that made the file, the manifest's `run_id`: under Dagster that
    of a partition. The others are requests (a command, a call, a run of the set's job), seen when their manifest was
    written.

    Attributes:
        prompt_id, image_index: whose image it is.
        prompt: the prompt's text when the set first had the file.
        image_path: relative to the set's folder; the file may have been pruned since.
        image_sha256: of the file's bytes.
        made_run: the run that made the file first.
        made_at: when that run began; None where the ledger does not tell.
        evaluations_paid: what was executed for this version and for none before it, so that the column can be summed.
        plan: the plan the set was made by when it first had the file.
        began: `made`; `returned`, a version that had ended came back and was not paid for as a new one; `found`, it
            was there before the history knew of it.
        began_run, began_at: the request that brought it in, and when its manifest was written.
        kept: how many later requests left it as it is.
        last_kept_run, last_kept_at: the last of these.
        ended: empty while the set has it; `replaced` by another file; `retired`, nobody asks for this image any
            more; `lost`, its file was gone or damaged, and nothing stood in for it.
        ended_run, ended_at: the request that noticed.
    """

    prompt_id: str
    image_index: int
    prompt: str
    image_path: str
    image_sha256: str
    made_run: str
    made_at: datetime | None
    evaluations_paid: float
    plan: str
    began: Began
    began_run: str
    began_at: datetime
    kept: int = 0
    last_kept_run: str = ""
    last_kept_at: datetime | None = None
    ended: Ended = ""
    ended_run: str = ""
    ended_at: datetime | None = None

    @property
    def image(self) -> tuple[str, int]:
        """Whose image it is."""
        return self.prompt_id, self.image_index


@dataclass(frozen=True)
class Moment:
    """When a manifest is written.

    Attributes:
        run: the request it is written for.
        at: the time.
        plan: the plan.
        made_at: when runs began, by their ids, as far as it is known.
    """

    run: str
    at: datetime
    plan: str
    made_at: Mapping[str, datetime]


def updated(
    versions: Sequence[Version],
    rows: Sequence[ImageRow],
    now: Moment,
    found: Collection[tuple[str, int]] = (),
) -> list[Version]:
    """The history with what `rows` add to it; the same state told twice for one request adds nothing.

    Args:
        versions: the history so far, oldest first.
        rows: the set as it is now.
        now: when, and for whom.
        found: the images that are as the last manifest had them. A history that does not know them begins with them.

    Returns:
        The versions, oldest first: the old ones in their order, then the new ones.
    """
    told = list(versions)
    open_: dict[tuple[str, int], int] = {version.image: at for at, version in enumerate(told) if not version.ended}
    paid = _paid(versions)
    for row in rows:
        image = (row.prompt_id, row.image_index)
        place = open_.pop(image, None)
        kind = change("" if place is None else told[place].image_sha256, row.image_sha256)
        if place is not None and kind == "kept":
            told[place] = _kept(told[place], row, now, paid)
        elif place is not None:
            told[place] = _ended(told[place], "replaced" if kind == "changed" else "lost", now)
        if kind in ("new", "changed"):
            told.append(_begun(row, now, paid, image in found))
    for place in open_.values():
        told[place] = _ended(told[place], "retired", now)
    return told


def history_bytes(versions: Sequence[Version]) -> bytes:
    """The parquet file of a history, a row a version."""
    columns = [pa.array([getattr(version, field.name) for version in versions], field.type) for field in _SCHEMA]
    return table_bytes(pa.Table.from_arrays(columns, schema=_SCHEMA))


def read_history(data: bytes) -> list[Version]:
    """The versions in a file that :func:`history_bytes` wrote.

    Raises:
        ValueError: the file is damaged, incomplete or no history; the message says which.
    """
    table = read_table(data, "history")
    if table.schema != _SCHEMA:
        raise ValueError(f"the history has other columns than this version of hierflow writes: {table.column_names}")
    return [Version(**row) for row in table.to_pylist()]


_Paid = dict[tuple[str, int, str, str], float]
"""What the ended versions of an image, a file and the run that made it were paid, together."""


def _paid(versions: Sequence[Version]) -> _Paid:
    found: _Paid = {}
    for version in versions:
        if version.ended:
            key = (*version.image, version.image_sha256, version.made_run)
            found[key] = found.get(key, 0.0) + version.evaluations_paid
    return found


def _begun(row: ImageRow, now: Moment, paid: _Paid, is_found: bool) -> Version:
    before = paid.get((row.prompt_id, row.image_index, row.image_sha256, row.run_id))
    return Version(
        prompt_id=row.prompt_id,
        image_index=row.image_index,
        prompt=row.prompt,
        image_path=row.image_path,
        image_sha256=row.image_sha256,
        made_run=row.run_id,
        made_at=now.made_at.get(row.run_id),
        evaluations_paid=row.evaluations_paid - (before or 0.0),
        plan=now.plan,
        began="found" if is_found else "made" if before is None else "returned",
        began_run=now.run,
        began_at=now.at,
    )


def _kept(version: Version, row: ImageRow, now: Moment, paid: _Paid) -> Version:
    key = (*version.image, version.image_sha256, version.made_run)
    version = replace(version, image_path=row.image_path)
    if row.run_id == version.made_run:  # else its record was lost, and with it what had been paid
        version = replace(version, evaluations_paid=row.evaluations_paid - paid.get(key, 0.0))
    if now.run in (version.began_run, version.last_kept_run):
        return version
    return replace(version, kept=version.kept + 1, last_kept_run=now.run, last_kept_at=now.at)


def _ended(version: Version, how: Ended, now: Moment) -> Version:
    return replace(version, ended=how, ended_run=now.run, ended_at=now.at)
