"""What the prior and the text encoders made of each prompt, kept by content so that it is made once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hierflow.hashing import digest
from hierflow.store.sealed import read_arrays, write_arrays
from hierflow.store.storage import DamagedFileError, Storage

Conditioning = dict[str, npt.NDArray[Any]]
"""Arrays by name, one row a prompt."""


class ConditioningCache:
    """Conditioning by (encoder fingerprint, text hash).

    A shard is one file that holds the prompts of one batch. Shards are never rewritten.

    Args:
        storage: the set's folder.
        encoder: fingerprint of the encoders, the prior, its settings and its seed.
    """

    def __init__(self, storage: Storage, encoder: str) -> None:
        self._storage = storage
        self._folder = f"conditioning/{encoder[:16]}"
        self.damaged: list[str] = []

    def read(self, text_hashes: Sequence[str]) -> dict[str, Conditioning]:
        """The conditioning of those of `text_hashes` that are stored and intact: arrays without a row axis."""
        wanted = set(text_hashes)
        found: dict[str, Conditioning] = {}
        for path in self._storage.list(self._folder):
            if wanted <= found.keys():
                break
            try:
                arrays, meta = read_arrays(self._storage, path)
            except DamagedFileError:
                self.damaged.append(path)
                continue
            for row, text in enumerate(meta["texts"]):
                if text in wanted:
                    found[text] = {name: array[row] for name, array in arrays.items()}
        return found

    def shards(self) -> dict[str, tuple[str, ...]]:
        """The text hashes in every shard that is intact, by its path."""
        found = {}
        for path in self._storage.list(self._folder):
            try:
                found[path] = tuple(read_arrays(self._storage, path)[1]["texts"])
            except DamagedFileError:
                self.damaged.append(path)
        return found

    def write(self, text_hashes: Sequence[str], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Store the rows of `arrays` under `text_hashes`."""
        name = digest(list(text_hashes))[:32]
        write_arrays(self._storage, f"{self._folder}/{name}.safetensors", arrays, {"texts": list(text_hashes)})


def stacked(rows: Sequence[Conditioning]) -> Conditioning:
    """One array a name, a row a prompt, from conditioning without a row axis."""
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}
