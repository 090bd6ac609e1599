"""One image set's folder: `<storage.path>/<set name>/`."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hierflow.errors import InputError
from hierflow.plan.compiled import CompiledPlan
from hierflow.store.conditioning import ConditioningCache
from hierflow.store.heartbeats import HeartbeatStore
from hierflow.store.ledger import Entry, Ledger, began
from hierflow.store.pairs import PairBook
from hierflow.store.plans import PlanBook
from hierflow.store.prompts import PromptBook
from hierflow.store.records import PartitionRecord, RecordBook, Records
from hierflow.store.sealed import read_json, write_json
from hierflow.store.states import StateStore
from hierflow.store.storage import DamagedFileError, Storage

_MARK = "set.json"
_FORMAT = 4
"""Of everything below a set's folder; another number means that other files, or other fields, lie there."""


class SetStore:
    """The stored side of an image set.

    Opening it reads and writes nothing; :meth:`claim` makes the folder.

    Args:
        path: `storage.path` of the document, absolute or an fsspec URL.
        name: the set's name, one path component.
        document: the document that describes the set; None where it was described in Python.
        options: `storage.options` of the document.
    """

    def __init__(
        self,
        path: str,
        name: str,
        document: Path | None = None,
        options: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self._base = Storage(path, options)
        self.name = name
        self.files = self._base.child(name)
        self._document = document
        self.states = StateStore(self.files)
        self.prompts = PromptBook(self.files)
        self.plans = PlanBook(self.files)
        self.records = RecordBook(self.files)
        self.ledger = Ledger(self.files)
        self.pairs = PairBook(self.files)
        self.heartbeats = HeartbeatStore(self.files)

    def conditioning(self, encoder: str) -> ConditioningCache:
        """The cache of what the encoders with that fingerprint made."""
        return ConditioningCache(self.files, "conditioning", encoder)

    def embeddings(self, model: str) -> ConditioningCache:
        """The cache of what trees cluster by, as made by the model with that fingerprint."""
        return ConditioningCache(self.files, "embeddings", model)

    def records_of(self, compiled: CompiledPlan) -> Records:
        """The records of a plan's partitions."""
        return self.records.of([partition.slice for partition in compiled.document.partitions])

    def records_oldest_first(self, entries: Sequence[Entry], besides: Collection[str] = ()) -> list[PartitionRecord]:
        """Every intact partition record but those of the slices `besides`, by when the run that wrote it began.

        `entries` are the ledger's.
        """
        when = began(entries)
        return sorted(self.records.all(besides), key=lambda record: when.get(record.run, 0.0))

    def check_location(self, *, writes: bool) -> None:
        """Refuse a location that cannot hold a folder, or cannot be written to though it has to, without making one.

        Raises:
            InputError: the location, or something above it, is a file or is not writable.
        """
        self._base.check(writes=writes)

    def heartbeat(self, run: str) -> AbstractContextManager[None]:
        """Writes the heartbeat of a run while the context is open; nothing before the folder is claimed.

        Raises:
            InputError: the folder belongs to another document.
        """
        return self.heartbeats.beat(run) if self.check_owner() else nullcontext()

    def check_owner(self) -> bool:
        """Refuse a folder that another document made.

        A damaged mark counts as none, as one that somebody has deleted does.

        Returns:
            Whether the folder has been claimed.

        Raises:
            InputError: a set of this name, described by another document or written in another format, lies here.
        """
        mark = self._mark()
        if mark is None:
            return False
        if mark["format"] != _FORMAT:
            raise InputError(
                f"is stored at {self.files.url()} in format {mark['format']}, and this hierflow reads {_FORMAT}",
                file=self._document,
                field="name",
                value=self.name,
                remedy="use the hierflow that wrote it, or another storage.path",
            )
        owner = mark["document"]
        if owner != self._signature():
            raise InputError(
                f"is the name of another image set at {self.files.url()}, described by {owner}",
                file=self._document,
                field="name",
                value=self.name,
                remedy=f"give this set another name or another storage.path (if the document was moved, "
                f"delete {self.files.url(_MARK)})",
            )
        return True

    def claim(self) -> None:
        """Make the folder and mark it as this document's.

        Raises:
            InputError: the location cannot be written to, or belongs to another document.
        """
        self.files.prepare()
        is_marked = self.check_owner()
        if not is_marked or not self.files.is_local:  # only a write shows that an object store takes writes
            write_json(self.files, _MARK, {"name": self.name, "document": self._signature(), "format": _FORMAT})

    def _mark(self) -> dict[str, Any] | None:
        """Whose the folder is, and its format; None if no intact mark says so."""
        try:
            return read_json(self.files, _MARK)
        except (FileNotFoundError, DamagedFileError):
            return None

    def _signature(self) -> str:
        """Names the document so that moving document and folder together changes nothing."""
        if self._document is None:
            return "python"
        if self.files.is_local:
            return Path(os.path.relpath(self._document.resolve(), self._base.url())).as_posix()
        return "/".join(self._document.resolve().parts[-2:])
