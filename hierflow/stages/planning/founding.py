"""Embeddings to a fresh tree and its partitions."""

from __future__ import annotations

from collections.abc import Sequence

from hierflow.plan.compiled import CompiledPlan
from hierflow.plan.partitions import cut_bins, inherited_keys, leaves_of
from hierflow.stages.context import Stage
from hierflow.stages.embedding.embeddings import Embeddings, clustering
from hierflow.stages.planning.layout import Bin, Layout, key_for
from hierflow.tree import EmbeddingTree
from hierflow.tree.planted import PlantedTree


def founded(
    stage: Stage, embeddings: Embeddings, before: CompiledPlan | None, tree: EmbeddingTree | None = None
) -> Layout:
    """A tree over the prompts as they are; its partitions go on with the keys of `before` where they can.

    Args:
        stage: the set.
        embeddings: its prompts'.
        before: the plan before; None where there is none to go on from.
        tree: over them, where they have been clustered already.
    """
    tree = tree or EmbeddingTree.from_embeddings(embeddings.vectors, stage.spec.sharing.linkage)
    encoder = stage.adapter.encoder_fingerprint
    planted = PlantedTree(tree, embeddings.hashes, encoder, clustering=clustering(stage))
    bins = cut_bins(tree, stage.spec.partitions.max_prompts)
    texts = [[planted.texts[leaf] for leaf in leaves_of(tree, subtrees)] for subtrees in bins]
    inherited, tombstones = _keys_before(before, texts)
    taken, named = set(inherited.values()), []
    for index, subtrees in enumerate(bins):
        key = inherited.get(index) or key_for(embeddings, texts[index], taken)
        taken.add(key)
        named.append(Bin(key, subtrees))
    # A tombstone whose very key a bin founds anew comes back to life.
    return Layout(planted, tuple(named), tuple(key for key in tombstones if key not in taken))


def _keys_before(before: CompiledPlan | None, bins: Sequence[Sequence[str]]) -> tuple[dict[int, str], list[str]]:
    """The keys that bins inherit from the plan before, and the keys that are left without prompts."""
    if before is None:
        return {}, []
    live = {text for texts in bins for text in texts}
    old = {key: [text for text in before.texts_of(key) if text in live] for key in before.document.keys}
    inherited = inherited_keys(old, bins)
    left = sorted({*before.document.keys, *before.document.tombstones} - set(inherited.values()))
    return inherited, left
