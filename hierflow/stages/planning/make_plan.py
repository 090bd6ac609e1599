"""Embeddings to a plan: the tree, kept or founded, its partitions, and what each of them must make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hierflow.hashing import digest
from hierflow.models.adapter import at_size
from hierflow.plan.budget import tau_within
from hierflow.plan.compiled import CompiledPlan
from hierflow.plan.document import PlanDocument, PlannedPartition, PlannedVariant
from hierflow.plan.identity import SamplingIdentity
from hierflow.plan.lanes import Variant
from hierflow.plan.selection import ALL_PROMPTS, PromptSelection
from hierflow.prompts import PromptSet
from hierflow.prompts.settings import RowSettings
from hierflow.stages.context import Stage
from hierflow.stages.embedding.embeddings import Embeddings
from hierflow.stages.planning.founding import founded
from hierflow.stages.planning.growing import can_grow, grown
from hierflow.stages.planning.last_plan import last_plan
from hierflow.stages.planning.layout import Layout
from hierflow.stages.planning.rebuilding import not_by_itself, rebuilt
from hierflow.stages.quality.pilot import load_pilot, pilot
from hierflow.stages.quality.pilot_target import check_sample
from hierflow.stages.quality.pilot_trial import trial_of
from hierflow.store.plans import LostPlanError
from hierflow.tree import EmbeddingTree

WHOLE = "all"
"""Rebuild the whole set."""


def make_plan(
    stage: Stage, prompts: PromptSet, embeddings: Embeddings, rebuild: str = "", *, may_measure: bool = True
) -> CompiledPlan:
    """The plan for the document as it stands. It is not stored; :func:`adopt` does that.

    A tree that has run is kept: prompts that are gone are retired, prompts that are new are grafted on it.

    Args:
        stage: the set.
        prompts: its prompts.
        embeddings: theirs.
        rebuild: :data:`WHOLE` to found the tree anew, or the key of a partition to cluster anew; empty for neither.
        may_measure: whether a pilot may be run where tau is found by quality. Where it may not, and there was none
            yet, the plan is as if tau were the usual one.

    Raises:
        InputError: `rebuild` is no partition, or one of a tree that is not kept; or a pilot is needed that could not
            tell what the document asks.
        RunError: no plan of the set is intact, so that the tree that has run cannot be kept.
    """
    before = plan_before(stage, rebuild)
    return plan_after(stage, prompts, embeddings, before, rebuild, may_measure=may_measure)


def plan_before(stage: Stage, rebuild: str = "") -> CompiledPlan | None:
    """The plan that :func:`make_plan` goes on from; see :func:`last_plan`."""
    return last_plan(stage, may_be_lost=rebuild == WHOLE or stage.spec.sharing.tree == "fresh")


def plan_after(
    stage: Stage,
    prompts: PromptSet,
    embeddings: Embeddings,
    before: CompiledPlan | None,
    rebuild: str = "",
    *,
    may_measure: bool = True,
) -> CompiledPlan:
    """What :func:`make_plan` gives after the plan `before`; it raises the same."""
    if before is None or rebuild == WHOLE or not can_grow(stage, before):
        if rebuild not in ("", WHOLE):
            raise not_by_itself(before, rebuild)
        return _founded(stage, prompts, embeddings, founded(stage, embeddings, before), may_measure)
    chosen = before.document.tau, before.document.pilot
    compiled = _compiled(stage, prompts, embeddings, grown(stage, embeddings, before), *chosen)
    if not rebuild:
        return compiled
    return _compiled(stage, prompts, embeddings, rebuilt(stage, embeddings, compiled, rebuild), *chosen)


def fresh_plan(
    stage: Stage, prompts: PromptSet, embeddings: Embeddings, tau: float, tree: EmbeddingTree | None = None
) -> CompiledPlan:
    """The plan that founding the tree anew would give; where a pilot finds tau, if it found this one.

    `tree` is over these prompts, where they have been clustered already.
    """
    layout = founded(stage, embeddings, None, tree)
    if stage.spec.sharing.quality is not None:
        return _compiled(stage, prompts, embeddings, layout, tau)
    return _founded(stage, prompts, embeddings, layout, may_measure=False)


def adopt(stage: Stage, compiled: CompiledPlan, selection: PromptSelection = ALL_PROMPTS) -> bool:
    """Store `compiled` and make it the current plan, at this invocation's request; returns whether it was not so.

    The request makes the prompts of `selection`.
    """
    stage.store.claim()
    try:
        current = stage.store.plans.current()
    except LostPlanError:
        current = None
    is_new = current is None or current.document.id != compiled.document.id
    if is_new:
        stage.store.plans.save(compiled)
    stage.store.plans.point_to(compiled.document.id, stage.invocation, selection)
    return is_new


def _founded(
    stage: Stage, prompts: PromptSet, embeddings: Embeddings, layout: Layout, may_measure: bool
) -> CompiledPlan:
    sharing = stage.spec.sharing
    if sharing.budget is None and sharing.quality is None:
        return _compiled(stage, prompts, embeddings, layout, sharing.tau)
    unshared, tau = _compiled(stage, prompts, embeddings, layout, 0.0), sharing.tau
    if sharing.budget is not None:
        steps = unshared.document.evaluations_a_step
        tau = tau_within(sharing.budget, layout.planted.tree, steps, unshared.variant_leaves)
    elif sharing.quality is not None:
        trial = trial_of(stage, unshared, prompts, sharing.quality)
        found = load_pilot(stage, trial.name)
        if found is None:
            check_sample(prompts, sharing.quality)
            found = pilot(stage, trial) if may_measure else None
        if found:
            return _compiled(stage, prompts, embeddings, layout, found.tau, trial.name)
    return _compiled(stage, prompts, embeddings, layout, tau)


def _compiled(
    stage: Stage, prompts: PromptSet, embeddings: Embeddings, layout: Layout, tau: float, pilot: str = ""
) -> CompiledPlan:
    """The plan of a layout: what is live, and what each partition must make of it."""
    adapter = stage.adapter
    draft = PlanDocument(
        tree=layout.planted.id,
        prompts=prompts.content_hash,
        tau=float(tau),
        tau_from=stage.spec.sharing.tau_from,
        pilot=pilot,
        steps=stage.spec.diffusion.steps,
        images_per_prompt=stage.spec.diffusion.images_per_prompt,
        encoder=adapter.encoder_fingerprint,
        decoder=adapter.decoder_fingerprint,
        scorers=dict(stage.scorers.versions),
        sampling=adapter.identity,
        negative_prompt=stage.spec.diffusion.negative_prompt or "",
        variants=(),
        sizes=(),
        partitions=tuple(PlannedPartition(own.key, own.subtrees, "") for own in layout.bins),
        tombstones=(),
        planned=0,
        standard=0,
        overflow=layout.overflow,
        left_out=dict(embeddings.left_out),
    )
    variants = _variants(draft, prompts, layout)
    draft = replace(draft, variants=variants, sizes=_sizes(stage, variants))
    compiled = CompiledPlan(draft, layout.planted)
    partitions = [replace(p, slice=_slice(compiled, prompts, p.key)) for p in draft.partitions]
    dormant = tuple(partition for partition in partitions if not partition.slice)
    document = replace(
        draft,
        partitions=tuple(partition for partition in partitions if partition.slice),
        dormant=dormant,
        tombstones=tuple(
            sorted({*layout.tombstones, *(p.key for p in dormant)} - {p.key for p in partitions if p.slice})
        ),
        planned=sum(lane.evaluations for lane in compiled.lanes),
        standard=sum(lane.standard_evaluations for lane in compiled.lanes),
    )
    return CompiledPlan(document, layout.planted)


def _variants(draft: PlanDocument, prompts: PromptSet, layout: Layout) -> tuple[PlannedVariant, ...]:
    """The variants that rows ask for, the document's own first, and which prompts have images of each."""
    leaves: dict[Variant, set[int]] = {}
    for text in prompts.hashes:
        for row in prompts.rows_of(text):
            if prompts.ids[row] in draft.left_out:
                continue
            variant = draft.variant_of(prompts.settings_of(row))
            leaves.setdefault(variant, set()).add(layout.planted.leaf_of[text])
    own = draft.variant_of(RowSettings())

    def place(variant: Variant) -> tuple[bool, int, int, int, str]:
        return variant != own, variant.seed, variant.width, variant.height, variant.negative_prompt or ""

    return tuple(PlannedVariant(variant, tuple(sorted(leaves[variant]))) for variant in sorted(leaves, key=place))


def _sizes(stage: Stage, variants: Sequence[PlannedVariant]) -> tuple[SamplingIdentity, ...]:
    """How images of other sizes than the document's are sampled.

    Raises:
        InputError: the model cannot draw such a size.
    """
    own = stage.adapter.identity
    sizes = {(planned.variant.width, planned.variant.height) for planned in variants} - {(own.width, own.height)}
    return tuple(at_size(stage.adapter, *size).identity for size in sorted(sizes))


def _slice(compiled: CompiledPlan, prompts: PromptSet, key: str) -> str:
    """The hash of the images a partition must make: whose, from which states, decoded and scored by what."""
    document = compiled.document
    images = [
        (prompts.ids[row], lane.image_index, lane.ids.final(compiled.leaf_of[text]))
        for text in compiled.texts_of(key)
        for row in prompts.rows_of(text)
        for lane in compiled.lanes_of(prompts, row)
    ]
    return digest("hierflow slice 1", sorted(images), document.decoder, document.scorers) if images else ""
