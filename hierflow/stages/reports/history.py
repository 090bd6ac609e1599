"""The set's history: read, carried on with what a manifest has, and put aside where it is damaged."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath

from hierflow.images import Changes, ImageRow, Moment, Thumbnails, Version, read_history, render_history, updated
from hierflow.stages.context import Stage
from hierflow.store.ledger import Entry, began
from hierflow.store.storage import DAMAGED

HISTORY, HISTORY_PAGE = "history.parquet", "history.html"


def carry_on(
    stage: Stage, rows: Sequence[ImageRow], plan: str, entries: Sequence[Entry], changes: Changes | None
) -> tuple[list[Version], list[str]]:
    """The history up to this moment, and what its reader must know. Nothing is written, but a damaged one put aside.

    Args:
        stage: whose request the manifest is written for.
        rows: the set as it is now.
        plan: the plan's id.
        entries: the ledger.
        changes: what is other than in the manifest that lay there before, where that is known.
    """
    files = stage.store.files
    try:
        data = files.read(HISTORY)
    except FileNotFoundError:
        data = None
    try:
        versions = [] if data is None else read_history(data)
    except ValueError as error:
        aside = files.put_aside(HISTORY)
        stage.say(f"{error}; it now lies in {files.url(aside)}, and the history begins anew")
        versions = []
    kinds = changes.of_rows if changes else ()
    found = {(row.prompt_id, row.image_index) for row, kind in zip(rows, kinds, strict=False) if kind == "kept"}
    when = {run: datetime.fromtimestamp(started, UTC) for run, started in began(entries).items()}
    now = Moment(stage.invocation, datetime.now(UTC), plan, when)
    told = updated(versions, rows, now, found)
    return told, [
        f"An earlier history was damaged: it lies in {path}, and this one begins after it."
        for path in files.list(DAMAGED)
        if path.startswith(f"{DAMAGED}/{PurePosixPath(HISTORY).stem}-")
    ]


def history_page(
    stage: Stage, versions: Sequence[Version], notes: Sequence[str], gallery: str, image_size: tuple[int, int]
) -> str:
    """The page of a history, for the folder in which `gallery` lies; it shows the images that are still there."""
    files = stage.store.files
    return render_history(
        stage.spec.name,
        versions,
        gallery=gallery,
        table=HISTORY,
        there=files.sizes("images"),
        thumbnails=Thumbnails(files).whole(),
        image_size=image_size,
        notes=notes,
    )
