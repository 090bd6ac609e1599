"""A tree that has run, and prompts that have changed since: retiring, grafting, and rebuilding a partition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hierflow.errors import InputError
from hierflow.plan.grafting import grafts_of, never_shared
from hierflow.plan.mismatch import founding_directions, mean_mismatch
from hierflow.plan.partitions import TRUNK
from hierflow.plan.schedule import phi
from hierflow.plan.segments import compile_plan
from hierflow.stages.context import Stage
from hierflow.stages.embeddings import Embeddings, stored_conditioning
from hierflow.stages.layout import Bin, Layout, key_for
from hierflow.store.plans import CompiledPlan
from hierflow.tree import EmbeddingTree
from hierflow.tree.planted import Graft, PlantedTree

Float = npt.NDArray[np.float64]


def can_grow(stage: Stage, before: CompiledPlan) -> bool:
    """Whether the tree of `before` may be kept: it has run, and nothing has changed that makes every image anew."""
    sharing, adapter, document = stage.spec.sharing, stage.adapter, before.document
    return (
        sharing.tree == "pinned"
        and document.tau == sharing.tau
        and before.planted.tree.linkage == sharing.linkage
        and document.steps == stage.spec.diffusion.steps
        and document.encoder == adapter.encoder_fingerprint
        and document.sampling.root(0) == adapter.identity.root(0)
        and _has_run(stage, before)
    )


def _has_run(stage: Stage, before: CompiledPlan) -> bool:
    """Whether any state on the paths of `before` is stored."""
    states, plan = stage.store.states, before.plan
    states.refresh()
    return any(
        ids.at(segment, step) in states
        for ids in before.ids
        for segment in range(len(plan.nodes))
        for step in range(int(plan.first[segment]), int(plan.last[segment]) + 1)
    )


def grown(stage: Stage, embeddings: Embeddings, before: CompiledPlan) -> Layout:
    """The tree of `before` with the prompts that are new grafted on it; those that are gone need nothing done."""
    planted = before.planted
    rows = [row for row, text in enumerate(embeddings.hashes) if text not in planted.leaf_of]
    if not rows:
        return _kept(before)
    vectors = vectors_of(stage, planted)
    means = founding_directions(planted, vectors)
    document = before.document
    founding = compile_plan(planted.tree, document.tau, document.steps, planted.generations == 0)
    grafts = grafts_of(
        compile_plan(planted.tree, document.tau, document.steps),  # a path that is retired is as good as a live one
        means,
        embeddings.vectors[rows],
        [embeddings.hashes[row] for row in rows],
        budget=stage.spec.sharing.graft_tolerance * mean_mismatch(founding, vectors, means),
        max_prompts=stage.spec.partitions.max_prompts,
    )
    return _with_grafts(stage, embeddings, before, grafts)


def rebuilt(stage: Stage, embeddings: Embeddings, before: CompiledPlan, key: str) -> Layout:
    """The tree of `before` with the prompts of one partition clustered anew, below the states it starts from.

    Raises:
        InputError: there is no such partition.
    """
    if key not in before.document.keys:
        raise InputError(
            "is not a partition of the set",
            field="--rebuild",
            value=key,
            remedy=f"name one of {', '.join(before.document.keys)}, or none to rebuild the whole set",
        )
    plan, own = before.plan, set(before.segments_of(key).tolist())
    threshold, starts = phi(plan.tau, plan.steps), dict[int, list[int]]()
    for segment in sorted(own):
        if int(plan.parent[segment]) not in own:
            starts.setdefault(int(plan.parent[segment]), []).append(segment)
    row_of = {text: row for row, text in enumerate(embeddings.hashes)}
    in_partition = set(before.texts_of(key))
    grafts = []
    for parent, segments in starts.items():
        served = {before.planted.texts[leaf] for segment in segments for leaf in plan.served(segment)}
        texts = sorted(served & in_partition)
        tree = EmbeddingTree.from_embeddings(embeddings.vectors[[row_of[text] for text in texts]], plan.tree.linkage)
        shared = int(plan.last[parent]) if parent >= 0 else 0
        height = float(threshold[shared - 1]) if shared else never_shared(plan.tau, plan.tree, tree)
        grafts.append(Graft(int(plan.nodes[parent]) if shared else -1, height, tree, tuple(texts)))
    return _with_grafts(stage, embeddings, before, grafts, into=key)


@dataclass
class _Room:
    """How many live prompts each partition holds, while grafts are assigned."""

    bins: list[Bin]
    held: list[int]
    max_prompts: int

    def take(self, index: int, node: int, prompts: int) -> None:
        """Partition `index` takes a graft."""
        self.bins[index] = Bin(self.bins[index].key, (*self.bins[index].subtrees, node))
        self.held[index] += prompts

    def has(self, index: int, prompts: int) -> bool:
        """Whether partition `index` can take so many more."""
        return self.held[index] + prompts <= self.max_prompts


def _with_grafts(
    stage: Stage,
    embeddings: Embeddings,
    before: CompiledPlan,
    grafts: Sequence[Graft],
    into: str | None = None,
) -> Layout:
    """Graft, and assign every graft to its host's partition, to `into`, or to the overflow partition."""
    new = before.planted.grafted(grafts)
    live = set(embeddings.hashes)
    partitions = [*before.document.partitions, *before.document.dormant]
    texts = [*(before.texts_of(key) for key in before.document.keys), *([] for _ in before.document.dormant)]
    held = [
        0 if partition.key == into else len(live & set(own)) for partition, own in zip(partitions, texts, strict=True)
    ]
    room = _Room(
        [Bin(p.key, tuple(int(new.above[node]) for node in p.subtrees)) for p in partitions],
        held,
        stage.spec.partitions.max_prompts,
    )
    overflow = before.document.overflow
    taken = {*before.document.keys, *before.document.tombstones}
    for graft, root in zip(grafts, new.roots, strict=True):
        index = _home(before, graft, into)
        if index is None or not (into or room.has(index, len(graft.texts))):
            index = next((i for i, own in enumerate(room.bins) if own.key == overflow), None)
            if index is None or not room.has(index, len(graft.texts)):
                overflow = key_for(embeddings, graft.texts, taken)
                taken.add(overflow)
                index = len(room.bins)
                room.bins.append(Bin(overflow, ()))
                room.held.append(0)
        room.take(index, root, len(graft.texts))
    return Layout(new.planted, tuple(room.bins), before.document.tombstones, overflow)


def _home(before: CompiledPlan, graft: Graft, into: str | None) -> int | None:
    """The index of the partition a graft belongs into, if there is one."""
    if into is not None:
        return before.document.keys.index(into)
    if graft.host < 0 or before.node_owner[graft.host] == TRUNK:
        return None
    return int(before.node_owner[graft.host])


def _kept(before: CompiledPlan) -> Layout:
    document = before.document
    bins = tuple(Bin(p.key, p.subtrees) for p in (*document.partitions, *document.dormant))
    return Layout(before.planted, bins, document.tombstones, document.overflow)


def vectors_of(stage: Stage, planted: PlantedTree) -> Float:
    """(N, D) the embedding of every leaf, retired ones included."""
    conditioning = stored_conditioning(stage, planted.encoder, planted.texts)
    return stage.adapter.tree_embeddings(conditioning)
