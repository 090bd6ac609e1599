"""Embeddings to a plan: the tree, kept or founded, its partitions, and what each of them must make."""

from __future__ import annotations

from dataclasses import replace

from hierflow.hashing import digest
from hierflow.prompts import PromptSet
from hierflow.stages.context import Stage
from hierflow.stages.embeddings import Embeddings
from hierflow.stages.founding import founded
from hierflow.stages.growing import can_grow, grown
from hierflow.stages.layout import Layout
from hierflow.stages.rebuilding import rebuilt
from hierflow.store.plans import CompiledPlan, PlanDocument, PlannedPartition
from hierflow.store.storage import DamagedFileError

WHOLE = "all"
"""Rebuild the whole set."""


def make_plan(stage: Stage, prompts: PromptSet, embeddings: Embeddings, rebuild: str = "") -> CompiledPlan:
    """The plan for the document as it stands. Nothing is stored; :func:`adopt` does that.

    A tree that has run is kept: prompts that are gone are retired, prompts that are new are grafted on it.

    Args:
        stage: the set.
        prompts: its prompts.
        embeddings: theirs.
        rebuild: :data:`WHOLE` to found the tree anew, or the key of a partition to cluster anew; empty for neither.

    Raises:
        InputError: `rebuild` is no partition.
    """
    before = _plan_before(stage)
    if before is None or rebuild == WHOLE or not can_grow(stage, before):
        return _compiled(stage, prompts, founded(stage, embeddings, before))
    compiled = _compiled(stage, prompts, grown(stage, embeddings, before))
    return _compiled(stage, prompts, rebuilt(stage, embeddings, compiled, rebuild)) if rebuild else compiled


def fresh_plan(stage: Stage, prompts: PromptSet, embeddings: Embeddings) -> CompiledPlan:
    """The plan that founding the tree anew would give."""
    return _compiled(stage, prompts, founded(stage, embeddings, None))


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


def _compiled(stage: Stage, prompts: PromptSet, layout: Layout) -> CompiledPlan:
    """The plan of a layout: what is live, and what each partition must make of it."""
    adapter, live = stage.adapter, layout.planted.live(prompts.hashes)
    draft = PlanDocument(
        tree=layout.planted.id,
        prompts=prompts.content_hash,
        tau=float(stage.spec.sharing.tau),
        steps=stage.spec.diffusion.steps,
        images_per_prompt=stage.spec.diffusion.images_per_prompt,
        encoder=adapter.encoder_fingerprint,
        decoder=adapter.decoder_fingerprint,
        scorers={"clip_similarity": adapter.scorer_version},
        sampling=adapter.identity,
        partitions=tuple(PlannedPartition(own.key, own.subtrees, "") for own in layout.bins),
        tombstones=(),
        planned=0,
        standard=0,
        retired=tuple(int(leaf) for leaf in (~live).nonzero()[0]),
        overflow=layout.overflow,
    )
    compiled = CompiledPlan(draft, layout.planted)
    partitions = [replace(p, slice=_slice(compiled, prompts, p.key)) for p in draft.partitions]
    dormant = tuple(partition for partition in partitions if not partition.slice)
    images = draft.images_per_prompt
    document = replace(
        draft,
        partitions=tuple(partition for partition in partitions if partition.slice),
        dormant=dormant,
        tombstones=tuple(
            sorted({*layout.tombstones, *(p.key for p in dormant)} - {p.key for p in partitions if p.slice})
        ),
        planned=compiled.plan.evaluations * images,
        standard=compiled.plan.standard_evaluations * images,
    )
    return CompiledPlan(document, layout.planted)


def _slice(compiled: CompiledPlan, prompts: PromptSet, key: str) -> str:
    """The hash of the images a partition must make: whose, from which states, decoded and scored by what."""
    images = [
        (prompts.ids[row], index, ids.final(compiled.leaf_of[text]))
        for text in compiled.texts_of(key)
        for row in prompts.rows_of(text)
        for index, ids in enumerate(compiled.ids)
    ]
    document = compiled.document
    return digest("hierflow slice 1", sorted(images), document.decoder, document.scorers) if images else ""
