"""The gallery: one self-contained page that shows a whole image set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hierflow.images.branches import LEVELS, BranchMap, branch_map
from hierflow.images.changes import Changes
from hierflow.images.image_columns import image_columns
from hierflow.images.manifest import ImageRow
from hierflow.images.page_template import PIXELATED, page_template, relative_url, shortened
from hierflow.plan.segments import Plan

_ASSUMED_SIZE = (512, 512)  # only to keep the page from jumping; the real size comes with the file
_SCRIPTS = ("grid.js", "branches.js", "viewer.js")
_RETIRED_SHOWN, _RETIRED_LETTERS = 100, 200  # a prompts file that is replaced retires thousands


@dataclass(frozen=True)
class Saving:
    """Evaluations without sharing, with it, and as executed.

    Attributes:
        standard, planned: of the plan.
        executed: counted on the network.
        by_last_run: whether `executed` is the last run's; else it is that of all runs of the plan.
    """

    standard: int
    planned: int
    executed: int
    by_last_run: bool

    @property
    def saved(self) -> float:
        """1 - planned / standard."""
        return 1.0 - self.planned / self.standard

    @property
    def bars(self) -> list[tuple[str, int, float]]:
        """Label, evaluations and length in percent of the longest."""
        labelled = [
            ("Without sharing", self.standard),
            ("Planned", self.planned),
            ("Executed by the last run" if self.by_last_run else "Executed by all runs", self.executed),
        ]
        longest = max(count for _, count in labelled)
        return [(label, count, round(100 * count / longest, 2)) for label, count in labelled]


def render_gallery(
    title: str,
    rows: Sequence[ImageRow],
    axes: Sequence[str],
    facts: Sequence[tuple[str, str]],
    notes: Sequence[str] = (),
    *,
    image_size: tuple[int, int] | None = None,
    thumbnails: Mapping[str, str] | None = None,
    changes: Changes | None = None,
    saving: Saving | None = None,
    plan: Plan | None = None,
    leaves: Sequence[int] = (),
    labels: npt.NDArray[np.int64] | None = None,
    history: str | None = None,
    quality: str | None = None,
    audit: str | None = None,
) -> str:
    """The page's HTML, to be stored beside the folders that the rows' image paths name.

    It asks nothing of the network but those images (its content security policy forbids the rest), and
    shows any text as text. Without JavaScript pictures and prompts are still there, filters are not.

    Args:
        title: the set's name.
        rows: the images, in the order shown; those without a path get a tile with their error.
        axes: the axes to filter by, keys of the rows' `axes`.
        facts: label and value, shown in the header.
        notes: sentences the reader must not miss.
        image_size: width and height of every image in pixels, where known.
        thumbnails: the path of the thumbnail of an image path; an image that has none is shown itself.
        changes: what the last run changed; None if there is nothing to compare with.
        saving: what sharing saves.
        plan: the plan, drawn as a map of its branches.
        leaves: with a plan, the leaf of every row's prompt; -1 for a prompt that it leaves out.
        labels: (2N - 1,) with a plan, the names of its tree's nodes; by default their numbers.
        history: the file beside it that tells the set's history.
        quality: the file beside it that tells how good the images are.
        audit: the file beside it that tells what they took.
    """
    drawn = branch_map(plan, labels) if plan else None
    kinds = changes.of_rows if changes else [""] * len(rows)
    columns = image_columns(rows, axes, kinds, plan.steps if plan else None)
    retired = changes.retired_prompts[:_RETIRED_SHOWN] if changes else ()
    filters = [place for place, column in enumerate(columns) if column.is_filter]
    return page_template("gallery.html", ("gallery.css",), _SCRIPTS).render(
        title=title,
        facts=facts,
        notes=notes,
        size=image_size or _ASSUMED_SIZE,
        pixelated=image_size is not None and max(image_size) <= PIXELATED,
        cards=[_card(row, thumbnails or {}, change) for row, change in zip(rows, kinds, strict=True)],
        filters=[(columns[place].label, columns[place].options) for place in filters],
        orders=sorted({name for row in rows for name in row.scores}),
        changes=changes,
        retired=[shortened(text, _RETIRED_LETTERS) for text in retired],
        saving=saving,
        history=relative_url(history or ""),
        quality=relative_url(quality or ""),
        audit=relative_url(audit or ""),
        map=drawn,
        data={
            "columns": [[column.label, column.options, column.values] for column in columns],
            "searched": 1 + len(axes),
            "filters": filters,
            "map": _map_data(drawn, plan, leaves),
        },
    )


def _card(row: ImageRow, thumbnails: Mapping[str, str], change: str) -> dict[str, Any]:
    return {
        "url": relative_url(row.image_path),
        "shown": relative_url(thumbnails.get(row.image_path, row.image_path)),
        "prompt": row.prompt,
        "nth": row.image_index + 1 if row.image_index else None,
        "badges": [word for word in (row.status, change) if word not in ("current", "kept", "missing", "")],
        "error": row.error,
    }


def _map_data(drawn: BranchMap | None, plan: Plan | None, leaves: Sequence[int]) -> dict[str, Any] | None:
    """The branches, and every row's place in the plan's order; beyond its end where the plan does not have it."""
    if drawn is None or plan is None:
        return None
    place = {int(leaf): number for number, leaf in enumerate(plan.leaf_order)}
    return {**drawn.table, "levels": LEVELS, "places": [place.get(leaf, plan.leaves) for leaf in leaves]}
