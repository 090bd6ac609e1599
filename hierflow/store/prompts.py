"""Prompt sets as runs saw them, so that every run of a plan reads the prompts the plan was made from."""

from __future__ import annotations

import io

import pyarrow.parquet as pq

from hierflow.prompts import PromptSet
from hierflow.store.sealed import read_json, write_json
from hierflow.store.storage import DamagedFileError, Storage

_POINTER = "prompts/current.json"


class PromptBook:
    """The prompt sets of one image set, by content."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def save(self, prompts: PromptSet) -> None:
        """Store `prompts`, over what is damaged, and make them the current ones."""
        if not self._intact(prompts.content_hash):
            file = io.BytesIO()
            pq.write_table(prompts.to_table(), file, compression="zstd")
            self._storage.write(_path(prompts.content_hash), file.getvalue(), durable=True)
        write_json(self._storage, _POINTER, {"prompts": prompts.content_hash})

    def current(self) -> PromptSet:
        """The prompts that were stored last.

        Raises:
            FileNotFoundError: none have been.
        """
        return self.load(read_json(self._storage, _POINTER)["prompts"])

    def load(self, content_hash: str) -> PromptSet:
        """The prompts of that content hash.

        Raises:
            FileNotFoundError: they are not stored.
            DamagedFileError: they are, but not intact.
        """
        path = _path(content_hash)
        data = self._storage.read(path)
        try:
            prompts = PromptSet.from_table(pq.read_table(io.BytesIO(data)))
        except (OSError, ValueError, TypeError, AttributeError, NotImplementedError) as error:  # as pyarrow has it
            raise DamagedFileError(f"{self._storage.url(path)} is not readable ({error})") from error
        if prompts.content_hash != content_hash:
            raise DamagedFileError(f"{self._storage.url(path)} does not hold what its name says")
        return prompts

    def _intact(self, content_hash: str) -> bool:
        try:
            self.load(content_hash)
        except (FileNotFoundError, DamagedFileError):
            return False
        return True


def _path(content_hash: str) -> str:
    return f"prompts/{content_hash}.parquet"
