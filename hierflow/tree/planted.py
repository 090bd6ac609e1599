"""A tree with the prompts it was made from, and what has been grafted on it since.

A grown tree is again an embedding tree: a graft that leaves its host's path after step b - 1 hangs from a new inner
node just above the host, at the height phi(b - 1) that lasts until then. Cutting it is cutting any tree. What is
different is what a node was *made from*: the nodes of a generation know the prompts of their own generation only,
so whatever is grafted later changes no mean, and no image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hierflow.hashing import digest
from hierflow.tree.embedding_tree import EmbeddingTree

Int = npt.NDArray[np.int64]


class Clustering(NamedTuple):
    """What a tree is clustered by.

    Attributes:
        name: as a document says it.
        fingerprint: of the model that embeds the prompts; empty for their conditioning, which an encoder of its own
            fingerprint makes.
    """

    name: str
    fingerprint: str


CONDITIONING = Clustering("conditioning", "")


class Graft(NamedTuple):
    """A cluster of new prompts and where it leaves the tree that is there.

    Attributes:
        host: the node whose path it shares; -1 if it starts from noise.
        height: the height down to which it shares: phi of the last shared step.
        tree: over the cluster's own prompts.
        texts: their hashes, ascending; leaf i of `tree` is `texts[i]`.
    """

    host: int
    height: float
    tree: EmbeddingTree
    texts: tuple[str, ...]


class Growth(NamedTuple):
    """What a grown tree knows beside its shape: see :class:`PlantedTree`."""

    generations: Int
    labels: Int


class Grown(NamedTuple):
    """A planted tree after grafting.

    Attributes:
        planted: the new one.
        moved: (2N - 1,) the new number of each old node.
        above: (2N - 1,) the new number of what stands for each old node now: the topmost inner node that a graft has
            put above it, or itself.
        roots: the new number of each graft's root.
    """

    planted: PlantedTree
    moved: Int
    above: Int
    roots: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class PlantedTree:
    """A tree with the prompts it was made from.

    Attributes:
        tree: the embedding tree; leaf i is the prompt `texts[i]`.
        texts: text hashes: the founding prompts', ascending, so that the order of the prompts file has no say; then
            each graft's, ascending. A prompt that was grafted anew occurs again.
        encoder: fingerprint of what made the conditioning of its nodes.
        growth: generations and labels; None for a tree that nothing has been grafted on.
        clustering: what it is clustered by.
    """

    tree: EmbeddingTree
    texts: tuple[str, ...]
    encoder: str
    growth: Growth | None = None
    clustering: Clustering = CONDITIONING

    @cached_property
    def generations(self) -> Int:
        """(N,) 0 for founding prompts, and for a grafted one the number of its graft, counted from 1."""
        return self.growth.generations if self.growth else np.zeros(self.tree.leaves, np.int64)

    @cached_property
    def labels(self) -> Int:
        """(2N - 1,) the nodes' names, which never change.

        The founding tree's numbers, then each graft's; an inner node that a graft has put above another one bears the
        other's name, as it is made from the same prompts.
        """
        return self.growth.labels if self.growth else np.arange(2 * self.tree.leaves - 1)

    @cached_property
    def id(self) -> str:
        """Content hash (64 hex digits). The merges are in it, as near-ties may fall otherwise on another machine."""
        shape = [self.tree.merges.tolist(), self.tree.heights.tolist()]
        grown = [self.generations.tolist(), self.labels.tolist()]
        by = self.clustering.fingerprint
        return digest("hierflow tree 3", self.encoder, by, self.tree.linkage, list(self.texts), shape, grown)

    def is_founding(self, texts: Sequence[str]) -> bool:
        """Whether it is the tree that is founded over just the prompts `texts`: nothing is grafted, nobody gone."""
        return self.growth is None and self.texts == tuple(texts)

    @cached_property
    def leaf_of(self) -> dict[str, int]:
        """The leaf of each text hash: the latest, where it was grafted anew."""
        return {text: leaf for leaf, text in enumerate(self.texts)}

    @cached_property
    def node_generations(self) -> Int:
        """(2N - 1,) each node's generation: the earliest of its prompts'."""
        generations = np.concatenate([self.generations, np.zeros(len(self.tree.merges), np.int64)])
        for merge, (left, right) in enumerate(self.tree.merges):
            generations[self.tree.leaves + merge] = min(generations[left], generations[right])
        return generations

    def founding_members(self, node: int) -> Int:
        """The leaves `node` was made from, ascending: those of its own generation."""
        members = self.tree.members(node)
        own: Int = members[self.generations[members] == self.node_generations[node]]
        return own

    def founders(self, node: int) -> list[str]:
        """The text hashes `node` was made from, in founding order."""
        return [self.texts[leaf] for leaf in self.founding_members(node)]

    @cached_property
    def standing(self) -> npt.NDArray[np.bool_]:
        """(N,) which leaves stand for their prompts, in the set or retired; the others' prompts were grafted anew."""
        return self.live(list(self.leaf_of))

    def live(self, texts: Sequence[str]) -> npt.NDArray[np.bool_]:
        """(N,) whether each leaf is the one that stands for a prompt of `texts`, which must all be planted."""
        live = np.zeros(self.tree.leaves, dtype=bool)
        live[[self.leaf_of[text] for text in texts]] = True
        return live

    def grafted(self, grafts: Sequence[Graft]) -> Grown:
        """This tree with `grafts` on it; every node keeps what it was made from."""
        return _Grafting(self, grafts).grown()


class _Grafting:
    """Builds the grown tree as a list of inner nodes, then numbers them anew.

    While it works a node is its old number, or, for what is new, a number from 2N - 1 up.
    """

    def __init__(self, planted: PlantedTree, grafts: Sequence[Graft]) -> None:
        self.planted, self.grafts = planted, grafts
        self.inner: list[tuple[float, int, int, int]] = []  # height, node, left, right; children before parents
        self.labels = dict(enumerate(planted.labels.tolist()))
        self.next_node = len(planted.labels)
        self.next_label = int(planted.labels.max()) + 1
        self.leaves = list(range(planted.tree.leaves))
        self.above: dict[int, int] = {}
        self.roots: list[int] = []

    def grown(self) -> Grown:
        tree = self.planted.tree
        at_host: dict[int, list[tuple[float, int]]] = {}
        for graft in self.grafts:
            self.roots.append(self._add(graft))
            at_host.setdefault(graft.host, []).append((graft.height, self.roots[-1]))
        for node in range(2 * tree.leaves - 1):
            if node >= tree.leaves:
                left, right = (self.above.get(int(child), int(child)) for child in tree.merges[node - tree.leaves])
                self.inner.append((float(tree.heights[node - tree.leaves]), node, left, right))
            for height, root in sorted(at_host.get(node, [])):
                self._put_above(node, height, root)
        for height, root in sorted(at_host.get(-1, [])):
            self._put_above(tree.root, height, root, keeps_label=False)
        return self._numbered()

    def _add(self, graft: Graft) -> int:
        """The nodes of a graft; returns its root."""
        nodes = [self._new_node() for _ in range(2 * graft.tree.leaves - 1)]
        self.leaves += nodes[: graft.tree.leaves]
        for merge, (left, right) in enumerate(graft.tree.merges):
            height = min(float(graft.tree.heights[merge]), graft.height)  # not above what it hangs from
            self.inner.append((height, nodes[graft.tree.leaves + merge], nodes[left], nodes[right]))
        return nodes[-1]

    def _put_above(self, host: int, height: float, root: int, keeps_label: bool = True) -> None:
        """Hang `root` from a new node above `host`, which the host's own prompts still make what it is.

        It bears the host's label, or a new one where `root` shares nothing with the host.
        """
        node, below = self.next_node, self.above.get(host, host)
        self.next_node += 1
        if keeps_label:
            self.labels[node] = self.labels[host]
        else:
            self.labels[node] = self.next_label
            self.next_label += 1
        self.inner.append((height, node, below, root))
        self.above[host] = node

    def _new_node(self) -> int:
        node, self.labels[self.next_node] = self.next_node, self.next_label
        self.next_node, self.next_label = node + 1, self.next_label + 1
        return node

    def _numbered(self) -> Grown:
        """Leaves as they were planted, inner nodes by height; equal heights keep children before parents."""
        planted, old = self.planted, len(self.planted.labels)
        ordered = sorted(self.inner, key=lambda node: node[0])
        number = {node: place for place, node in enumerate([*self.leaves, *(node for _, node, _, _ in ordered)])}
        tree = EmbeddingTree(
            np.array([[number[left], number[right]] for _, _, left, right in ordered], dtype=np.int64).reshape(-1, 2),
            np.array([height for height, _, _, _ in ordered], dtype=np.float64),
            planted.tree.linkage,
        )
        born = int(planted.generations.max()) + 1
        generations = [[born + index] * len(graft.texts) for index, graft in enumerate(self.grafts)]
        labels = np.empty(len(number), dtype=np.int64)
        for node, place in number.items():
            labels[place] = self.labels[node]
        grown = PlantedTree(
            tree,
            planted.texts + tuple(text for graft in self.grafts for text in graft.texts),
            planted.encoder,
            Growth(np.concatenate([planted.generations, *generations]).astype(np.int64), labels),
            planted.clustering,
        )
        moved = np.array([number[node] for node in range(old)], dtype=np.int64)
        above = np.array([number[self.above.get(node, node)] for node in range(old)], dtype=np.int64)
        return Grown(grown, moved, above, tuple(number[root] for root in self.roots))
