"""Partitions: bins of whole subtrees that one run denoises, decodes and scores.

The tree is cut from the top until every subtree holds at most `max_prompts` prompts, and neighbouring subtrees
are packed up to that size. What lies above the cut is the trunk. Keys appear in no id, seed or file name, so
naming a bin differently recomputes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from hierflow.hashing import digest
from hierflow.tree.embedding_tree import EmbeddingTree

Int = npt.NDArray[np.int64]
TRUNK = -1
"""The owner of the segments above the cut."""


def cut_bins(tree: EmbeddingTree, max_prompts: int) -> list[tuple[int, ...]]:
    """The subtrees of every bin, from left to right.

    Args:
        tree: the tree over the set's distinct prompts.
        max_prompts: the largest number of prompts in a bin, at least 1.
    """
    bins: list[list[int]] = []
    room = 0
    for subtree in _subtrees(tree, max_prompts):
        size = int(tree.sizes[subtree])
        if size > room:
            bins.append([])
            room = max_prompts
        bins[-1].append(subtree)
        room -= size
    return [tuple(subtrees) for subtrees in bins]


def owners(tree: EmbeddingTree, bins: Sequence[tuple[int, ...]]) -> Int:
    """(2N - 1,) the index of the bin each node lies in, :data:`TRUNK` above the cut.

    A subtree may lie within another one, as a graft that had to go into another bin than its host.
    """
    owner = np.full(2 * tree.leaves - 1, TRUNK, dtype=np.int64)
    for index, subtrees in enumerate(bins):
        owner[list(subtrees)] = index
    for merge in range(len(tree.merges) - 1, -1, -1):
        children = tree.merges[merge]
        owner[children] = np.where(owner[children] == TRUNK, owner[tree.leaves + merge], owner[children])
    return owner


def leaves_of(tree: EmbeddingTree, subtrees: Sequence[int]) -> Int:
    """The prompts under `subtrees`, ascending."""
    return np.sort(np.concatenate([tree.members(node) for node in subtrees]))


def most_central(embeddings: npt.NDArray[np.float64], leaves: Int) -> int:
    """The prompt of `leaves` closest in direction to their mean embedding; the first of equals.

    Two prompts are always equally close, so cosines within rounding count as equal.
    """
    rows = embeddings[leaves]
    lengths = np.linalg.norm(rows, axis=1)
    directions = rows / np.where(lengths > 0, lengths, 1.0)[:, None]
    cosines = directions @ directions.mean(axis=0)
    return int(leaves[int(np.argmax(cosines >= cosines.max() - 1e-9))])


def new_key(label: str, text_hashes: Sequence[str], taken: Collection[str]) -> str:
    """`<label>-<6 hex>`, the digits from the bin's prompts; more digits should the key be taken."""
    digits = digest("hierflow partition 1", sorted(text_hashes))
    key = f"{label}-{digits[:6]}"
    return key if key not in taken else f"{label}-{digits[:16]}"


def inherited_keys(old: Mapping[str, Collection[str]], new: Sequence[Collection[str]]) -> dict[int, str]:
    """Which new bins continue which old keys after a rebuild.

    A new bin inherits the key of the old bin it shares most live prompts with, if those are at least half of
    the old bin's; each key and each bin is used once, the greatest overlap first, ties by key and position.

    Args:
        old: the text hashes of the prompts that are still live, by the key of their old bin.
        new: the text hashes in each new bin.

    Returns:
        The inherited key by the new bin's index; bins that inherit none are absent.
    """
    home = {text: key for key, texts in old.items() for text in texts}
    overlaps: dict[tuple[str, int], int] = {}
    for index, texts in enumerate(new):
        for text in texts:
            if text in home:
                pair = (home[text], index)
                overlaps[pair] = overlaps.get(pair, 0) + 1
    inherited: dict[int, str] = {}
    for (key, index), shared in sorted(overlaps.items(), key=lambda item: (-item[1], item[0])):
        if index not in inherited and key not in inherited.values() and 2 * shared >= len(old[key]):
            inherited[index] = key
    return inherited


def _subtrees(tree: EmbeddingTree, max_prompts: int) -> list[int]:
    """The largest subtrees of at most `max_prompts` prompts, from left to right."""
    found, stack = [], [tree.root]
    while stack:
        node = stack.pop()
        if tree.sizes[node] <= max_prompts:
            found.append(node)
        else:
            left, right = tree.merges[node - tree.leaves]
            stack += [int(right), int(left)]
    return found
