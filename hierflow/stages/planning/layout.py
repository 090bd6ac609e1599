"""A tree and its partitions, before anything is named by content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hierflow.naming import slug
from hierflow.plan.partitions import most_central, new_key
from hierflow.stages.embedding.embeddings import Embeddings
from hierflow.tree.planted import PlantedTree

_LABEL = 32


@dataclass(frozen=True)
class Bin:
    """A partition in the making.

    Attributes:
        key: its key.
        subtrees: the tree nodes it holds.
    """

    key: str
    subtrees: tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """What a plan is made from beside its schedule.

    Attributes:
        planted: the tree.
        bins: the partitions, those without live prompts included.
        tombstones: keys of earlier trees.
        overflow: key of the partition that is open to grafts without room at their host; empty if none is.
    """

    planted: PlantedTree
    bins: tuple[Bin, ...]
    tombstones: tuple[str, ...] = ()
    overflow: str = ""


def key_for(embeddings: Embeddings, texts: Sequence[str], taken: set[str]) -> str:
    """A key for a partition that `texts` found: the most central prompt's words and six hex digits."""
    row_of = {text: row for row, text in enumerate(embeddings.hashes)}
    rows = np.array([row_of[text] for text in texts])
    central = embeddings.texts[most_central(embeddings.vectors, rows)]
    return new_key(slug(central, _LABEL), texts, taken)
