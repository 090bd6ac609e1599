"""What a run changed: the images of a set beside those of the manifest that was there before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from hierflow.images.manifest import ImageRow

Change = Literal["new", "changed", "kept", "missing"]


@dataclass(frozen=True)
class Changes:
    """What became of a set's images since its last manifest.

    Attributes:
        of_rows: for every row of the set: `new`, there was no image; `changed`, there was another file; `kept`, there
            was the same; `missing`, there is none now.
        retired_prompts: the texts of the prompt ids that are gone, each once, in the old order.
        retired: how many prompt ids are gone.
    """

    of_rows: tuple[Change, ...]
    retired_prompts: tuple[str, ...]
    retired: int

    @property
    def new(self) -> int:
        """Images that were not there."""
        return self.of_rows.count("new")

    @property
    def changed(self) -> int:
        """Images that were others."""
        return self.of_rows.count("changed")

    @property
    def kept(self) -> int:
        """Images that are the same, bit for bit."""
        return self.of_rows.count("kept")


def compare(before: pa.Table, rows: Sequence[ImageRow]) -> Changes:
    """The changes from an older manifest to `rows`; images are matched by prompt id and image index.

    Args:
        before: a table as :func:`hierflow.images.manifest.read_manifest` returns it, of whatever axes.
        rows: the set as it is now.
    """
    columns = ("prompt_id", "image_index", "prompt", "image_sha256")
    ids, indices, texts, files = (before.column(name).to_pylist() for name in columns)
    file_of = dict(zip(zip(ids, indices, strict=True), files, strict=True))
    live = {row.prompt_id for row in rows}
    gone = {prompt_id: text for prompt_id, text in zip(ids, texts, strict=True) if prompt_id not in live}
    return Changes(
        of_rows=tuple(change(file_of.get((row.prompt_id, row.image_index), ""), row.image_sha256) for row in rows),
        retired_prompts=tuple(dict.fromkeys(gone.values())),
        retired=len(gone),
    )


def change(before: str, now: str) -> Change:
    """What became of an image, by the checksums of its file before and now; empty where there was or is none."""
    if not now:
        return "missing"
    if not before:
        return "new"
    return "kept" if before == now else "changed"
