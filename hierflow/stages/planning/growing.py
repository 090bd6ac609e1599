"""A tree that has run, and prompts that have changed since: retiring and grafting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hierflow.plan.compiled import CompiledPlan
from hierflow.plan.grafting import grafts_of
from hierflow.plan.mismatch import founding_directions, mean_mismatch
from hierflow.plan.partitions import TRUNK
from hierflow.plan.segments import compile_plan
from hierflow.stages.context import Stage
from hierflow.stages.embedding.embeddings import Embeddings, clustering, tree_vectors
from hierflow.stages.planning.layout import Bin, Layout, key_for
from hierflow.tree.planted import Graft, PlantedTree

Float = npt.NDArray[np.float64]


def can_grow(stage: Stage, before: CompiledPlan) -> bool:
    """Whether the tree of `before` may be kept: it has run, and nothing has changed that makes every image anew."""
    sharing, adapter, document = stage.spec.sharing, stage.adapter, before.document
    return (
        sharing.tree == "pinned"
        and dict(document.tau_from) == dict(sharing.tau_from)
        and before.planted.tree.linkage == sharing.linkage
        and before.planted.clustering.fingerprint == clustering(stage).fingerprint
        and document.steps == stage.spec.diffusion.steps
        and document.encoder == adapter.encoder_fingerprint
        and document.sampling.root(0) == adapter.identity.root(0)
        and _has_run(stage, before)
    )


def _has_run(stage: Stage, before: CompiledPlan) -> bool:
    """Whether any state on the paths of `before` is stored."""
    states = stage.store.states
    states.refresh()
    return any(state in states for lane in before.lanes for state in lane.states)


def grown(stage: Stage, embeddings: Embeddings, before: CompiledPlan) -> Layout:
    """The tree of `before` with the prompts that are new grafted on it; those that are gone need nothing done."""
    planted = before.planted
    rows = [row for row, text in enumerate(embeddings.hashes) if text not in planted.leaf_of]
    if not rows:
        return _kept(before)
    vectors = vectors_of(stage, planted, embeddings)
    means = founding_directions(planted, vectors)
    tau, steps = before.document.tau, before.document.evaluations_a_step
    founding = compile_plan(planted.tree, tau, steps, planted.generations == 0)
    grafts = grafts_of(
        compile_plan(planted.tree, tau, steps, planted.standing),  # retired ones are as good hosts
        means,
        embeddings.vectors[rows],
        [embeddings.hashes[row] for row in rows],
        budget=stage.spec.sharing.graft_tolerance * mean_mismatch(founding, vectors, means),
        max_prompts=stage.spec.partitions.max_prompts,
    )
    return with_grafts(stage, embeddings, before, grafts)


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


def with_grafts(
    stage: Stage,
    embeddings: Embeddings,
    before: CompiledPlan,
    grafts: Sequence[Graft],
    into: str | None = None,
) -> Layout:
    """Graft, and assign every graft to its host's partition, to `into`, or to the overflow partition."""
    new = before.planted.grafted(grafts)
    partitions = [*before.document.partitions, *before.document.dormant]
    live = before.planted.live([text for text in embeddings.hashes if text in before.planted.leaf_of])
    held = np.bincount(before.node_owner[np.flatnonzero(live)], minlength=len(partitions)).tolist()
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


def vectors_of(stage: Stage, planted: PlantedTree, embeddings: Embeddings) -> Float:
    """(N, D) the embedding of every leaf, retired ones included."""
    texts = dict(zip(embeddings.hashes, embeddings.texts, strict=True))
    return tree_vectors(stage, planted.encoder, planted.texts, texts)
