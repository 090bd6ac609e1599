"""Partition records: what a partition's run made, one file a slice."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from hierflow.store.sealed import read_all_json, read_json, write_json
from hierflow.store.storage import DamagedFileError, Storage


@dataclass(frozen=True)
class ImageRecord:
    """One image, made or failed.

    Attributes:
        prompt_id, text, image_index: whose image it is; `text` is the text's hash.
        state: the id of the state it was decoded from.
        path: the PNG, relative to the set's folder; empty if it failed.
        sha256: of the PNG's bytes; empty if it failed.
        size: how many bytes they are, so that a listing shows whether the file is whole; 0 if it failed.
        scores: quality scores by name.
        run: the run that made the file.
        paid: evaluations executed for it: its equal part of what images that lacked the same states needed.
        error: why it failed, in one sentence; empty if it did not.
    """

    prompt_id: str
    text: str
    image_index: int
    state: str
    path: str = ""
    sha256: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    run: str = ""
    paid: float = 0.0
    error: str = ""
    size: int = 0

    def is_whole(self, sizes: Mapping[str, int]) -> bool:
        """Whether the image was made and its file has its size, by a listing of sizes by path."""
        return not self.error and sizes.get(self.path) == self.size


@dataclass(frozen=True)
class PartitionRecord:
    """The result of one partition.

    Attributes:
        key: the partition key at the time.
        slice: hash of what was asked for (see :class:`hierflow.plan.document.PlannedPartition`).
        plan: the plan it was run under.
        run: the run that wrote it.
        images: one entry an image, in the order of prompt ids and image indices.
        decoder: fingerprint of what decoded the images.
        scorers: version of each score, by name.
        planned, executed: evaluations of the slice, and how many of them this run made.
        unmade: images of the slice that are still to be made or scored: it is stored as that goes on.
    """

    key: str
    slice: str
    plan: str
    run: str
    images: tuple[ImageRecord, ...]
    decoder: str
    scorers: Mapping[str, str]
    planned: int
    executed: int
    unmade: int = 0

    @property
    def complete(self) -> bool:
        """Whether every image was made."""
        return not (self.unmade or any(image.error for image in self.images))

    def is_whole(self, sizes: Mapping[str, int]) -> bool:
        """Whether every image was made and has its file, by a listing of sizes by path."""
        return not self.unmade and all(image.is_whole(sizes) for image in self.images)


Records = Mapping[str, PartitionRecord]
"""The records of some slices, by the slice, of those that have an intact one."""


class RecordBook:
    """The partition records of one image set."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def save(self, record: PartitionRecord) -> None:
        """Store `record`, replacing an earlier one of its slice."""
        write_json(self._storage, _path(record.slice), asdict(record))

    def load(self, slice_: str) -> PartitionRecord | None:
        """The record of that slice; None if there is none or it is damaged (its partition is then run again)."""
        try:
            return _record(read_json(self._storage, _path(slice_)))
        except (FileNotFoundError, DamagedFileError):
            return None

    def of(self, slices: Sequence[str]) -> dict[str, PartitionRecord]:
        """The records of some slices that are there and intact, by the slice."""
        stored = read_all_json(self._storage, [_path(slice_) for slice_ in slices])
        return {record["slice"]: _record(record) for _, record in stored if record is not None}

    def all(self, besides: Collection[str] = ()) -> list[PartitionRecord]:
        """Every intact record, in no particular order of time.

        Args:
            besides: slices whose records are left out, and not read.
        """
        unwanted = set(map(_path, besides))
        paths = [path for path in self._storage.list("records") if path not in unwanted]
        return [_record(stored) for _, stored in read_all_json(self._storage, paths) if stored is not None]


def _record(stored: dict[str, Any]) -> PartitionRecord:
    images = tuple(ImageRecord(**image) for image in stored["images"])
    return PartitionRecord(**{**stored, "images": images})


def _path(slice_: str) -> str:
    return f"records/{slice_}.json"
