"""What the prior and the text encoders made of each prompt, kept by content so that it is made once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hierflow.conditioning import Conditioning
from hierflow.hashing import bytes_digest, digest
from hierflow.store.narrow import Narrow, narrowed
from hierflow.store.sealed import read_arrays, read_meta, write_arrays
from hierflow.store.storage import DamagedFileError, Storage

Row = dict[str, Narrow]
"""What is stored of one prompt: arrays by name, without a row axis."""

SHARD_BYTES = 32 << 20
"""A file holds at least one prompt, and no more than this: what is read to have a prompt's row."""


class ConditioningCache:
    """Arrays by (fingerprint of what made them, text hash).

    A shard is one file that holds some prompts of one batch, in the smallest types that hold their values exactly; an
    array that is the same for all of them, as a negative prompt's is, is held once. Shards are never rewritten.

    Args:
        storage: the set's folder.
        folder: what is kept: `conditioning`, or the `embeddings` that a tree clusters by.
        maker: fingerprint of the encoders, the prior, its settings and its seed.

    Attributes:
        common: what several prompts were found to have alike, by the id of the object that stands for it.
        damaged: the shards found so.
    """

    def __init__(self, storage: Storage, folder: str, maker: str) -> None:
        self._storage = storage
        self._folder = f"{folder}/{maker[:16]}"
        self._by_content: dict[str, Narrow] = {}
        self.common: dict[int, Narrow] = {}
        self.damaged: list[str] = []

    def read(self, text_hashes: Collection[str]) -> dict[str, Conditioning]:
        """The rows of those of `text_hashes` that are stored and intact: arrays without a row axis."""
        return {text: wide(row) for text, row in self.rows(text_hashes)}

    def rows(self, text_hashes: Collection[str]) -> Iterator[tuple[str, Row]]:
        """The rows of those of `text_hashes` that are stored and intact, as they are kept; one shard is in memory.

        What several prompts have alike is one object in all their rows.
        """
        wanted = set(text_hashes)
        for path, texts in self.shards().items():
            if wanted.isdisjoint(texts):
                continue
            for text, row in self.opened(path, wanted):
                wanted.discard(text)
                yield text, row

    def held(self) -> set[str]:
        """The text hashes that are stored, by the heads of the shards: that the rest is intact, reading it tells."""
        return {text for texts in self.shards().values() for text in texts}

    def shards(self) -> dict[str, tuple[str, ...]]:
        """The text hashes in every shard, by its path and in the order of the paths; by the heads of the files."""
        found = {}
        for path, size in sorted(self._storage.sizes(self._folder).items()):
            if path in self.damaged:
                continue
            try:
                meta = read_meta(self._storage, path, size)
            except FileNotFoundError:
                continue
            except DamagedFileError:
                self.damaged.append(path)
                continue
            found[path] = tuple(meta["texts"])
        return found

    def write(self, text_hashes: Sequence[str], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Store the rows of `arrays` under `text_hashes`."""
        alike = [name for name, array in arrays.items() if len(array) > 1 and _is_one_row(array)]
        kept = {name: narrowed(array[:1] if name in alike else array) for name, array in arrays.items()}
        types = {name: [narrow.kind, narrow.dtype] for name, narrow in kept.items()}
        a_row = sum(kept[name].array[0].nbytes for name in kept.keys() - set(alike))
        most = max(1, SHARD_BYTES // max(1, a_row))
        for start in range(0, len(text_hashes), most):
            own = slice(start, start + most)
            texts = list(text_hashes[own])
            path = f"{self._folder}/{digest(texts)[:32]}.safetensors"
            meta = {"texts": texts, "alike": alike, "types": types}
            held = {name: narrow.array if name in alike else narrow.array[own] for name, narrow in kept.items()}
            write_arrays(self._storage, path, held, meta)

    def forget_damaged(self) -> None:
        """Delete the shards that were found damaged, so that no head of one promises what it does not hold."""
        for path in self.damaged:
            self._storage.delete(path)

    def opened(self, path: str, wanted: Collection[str]) -> Iterator[tuple[str, Row]]:
        """The rows of those of `wanted` that the shard at `path` holds; none if it is damaged, or gone."""
        try:
            arrays, meta = read_arrays(self._storage, path)
        except FileNotFoundError:
            return
        except DamagedFileError:
            self.damaged.append(path)
            return
        types = meta["types"]
        alike = {name: self._one(Narrow(arrays.pop(name)[0], *types[name])) for name in meta["alike"]}
        for place, text in enumerate(meta["texts"]):
            if text in wanted:  # copied, as a view would keep the whole shard in memory
                own = {name: Narrow(array[place].copy(), *types[name]) for name, array in arrays.items()}
                yield text, {**own, **alike}

    def _one(self, row: Narrow) -> Narrow:
        """The object that stands for rows of this content."""
        one = self._by_content.setdefault(digest(row.kind, row.dtype, bytes_digest(row.array.tobytes())), row)
        self.common[id(one)] = one
        return one


def wide(row: Row) -> Conditioning:
    """The row's arrays in the types they had."""
    return {name: narrow.wide() for name, narrow in row.items()}


def stacked(rows: Iterable[Conditioning]) -> Conditioning:
    """One array a name, a row a prompt, from conditioning without a row axis."""
    every = list(rows)
    return {name: np.stack([row[name] for row in every]) for name in every[0]}


def _is_one_row(array: npt.NDArray[Any]) -> bool:
    bits = np.ascontiguousarray(array).view(np.uint8).reshape(len(array), -1)
    return bool((bits == bits[0]).all())
