"""Embeddings to a plan: the tree, its cut, the partitions and their keys."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hierflow.hashing import digest
from hierflow.naming import slug
from hierflow.plan.identity import StateIds
from hierflow.plan.partitions import cut_bins, inherited_keys, leaves_of, most_central, new_key
from hierflow.prompts import PromptSet
from hierflow.stages.context import Stage
from hierflow.stages.embeddings import Embeddings
from hierflow.store.plans import CompiledPlan, PlanDocument, PlannedPartition, PlantedTree, state_ids
from hierflow.store.storage import DamagedFileError
from hierflow.tree import EmbeddingTree

_LABEL = 32


def make_plan(stage: Stage, prompts: PromptSet, embeddings: Embeddings) -> CompiledPlan:
    """The plan for the document as it stands. Nothing is stored; :func:`adopt` does that."""
    sharing, adapter = stage.spec.sharing, stage.adapter
    tree = EmbeddingTree.from_embeddings(embeddings.vectors, sharing.linkage)
    planted = PlantedTree(tree, embeddings.hashes, adapter.encoder_fingerprint)
    plan = tree.plan(sharing.tau, stage.spec.diffusion.steps)
    images = stage.spec.diffusion.images_per_prompt
    bins = cut_bins(tree, stage.spec.partitions.max_prompts)
    leaves = [leaves_of(tree, subtrees) for subtrees in bins]
    keys, tombstones = _keys(_plan_before(stage), [[planted.texts[i] for i in group] for group in leaves])
    labels = [slug(embeddings.texts[most_central(embeddings.vectors, group)], _LABEL) for group in leaves]
    named = _named(keys, labels, [[planted.texts[i] for i in group] for group in leaves], tombstones)
    finals = state_ids(plan, planted, adapter.identity, images)
    scorers = {"clip_similarity": adapter.scorer_version}
    partitions = tuple(
        PlannedPartition(key, subtrees, _slice(prompts, planted, group, finals, adapter.decoder_fingerprint, scorers))
        for key, subtrees, group in zip(named, bins, leaves, strict=True)
    )
    document = PlanDocument(
        tree=planted.id,
        prompts=prompts.content_hash,
        tau=sharing.tau,
        steps=plan.steps,
        images_per_prompt=images,
        encoder=adapter.encoder_fingerprint,
        decoder=adapter.decoder_fingerprint,
        scorers=scorers,
        sampling=adapter.identity,
        partitions=partitions,
        tombstones=tuple(tombstones),
        planned=plan.evaluations * images,
        standard=plan.standard_evaluations * images,
    )
    return CompiledPlan(document, planted)


def adopt(stage: Stage, compiled: CompiledPlan) -> bool:
    """Store `compiled` and make it the current plan, at this invocation's request; returns whether it was not so."""
    stage.store.claim()
    current = _plan_before(stage)
    is_new = current is None or current.document.id != compiled.document.id
    if is_new:
        stage.store.plans.save(compiled)
    stage.store.plans.point_to(compiled.document.id, stage.invocation)
    return is_new


def _plan_before(stage: Stage) -> CompiledPlan | None:
    """The current plan. A damaged one costs no more than the keys that would have been inherited from it."""
    try:
        return stage.store.plans.current()
    except (DamagedFileError, FileNotFoundError) as error:
        stage.say(f"the plan before this one is lost, so partitions get new keys: {error}")
        return None


def _keys(before: CompiledPlan | None, bins: Sequence[Sequence[str]]) -> tuple[dict[int, str], list[str]]:
    """The keys that bins inherit from the plan before, and the keys that are left without prompts."""
    if before is None:
        return {}, []
    live = {text for texts in bins for text in texts}
    old = {key: [text for text in before.texts_of(key) if text in live] for key in before.document.keys}
    inherited = inherited_keys(old, bins)
    left = sorted({*before.document.keys, *before.document.tombstones} - set(inherited.values()))
    return inherited, left


def _named(
    inherited: dict[int, str], labels: Sequence[str], bins: Sequence[Sequence[str]], tombstones: list[str]
) -> list[str]:
    """A key for every bin; a tombstone whose very key a bin founds anew comes back to life."""
    taken, keys = set(inherited.values()), []
    for index, texts in enumerate(bins):
        key = inherited.get(index) or new_key(labels[index], texts, taken)
        taken.add(key)
        keys.append(key)
        if key in tombstones:
            tombstones.remove(key)
    return keys


def _slice(
    prompts: PromptSet,
    planted: PlantedTree,
    leaves: npt.NDArray[np.int64],
    finals: Sequence[StateIds],
    decoder: str,
    scorers: dict[str, str],
) -> str:
    """The hash of the images a partition must make: whose, from which states, decoded and scored by what."""
    images = [
        (prompts.ids[row], index, ids.final(int(leaf)))
        for leaf in leaves
        for row in prompts.rows_of(planted.texts[leaf])
        for index, ids in enumerate(finals)
    ]
    return digest("hierflow slice 1", sorted(images), decoder, scorers)
