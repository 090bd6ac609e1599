"""What a run would do and cost, from the plan alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hierflow.denoise.work import plan_work
from hierflow.hashing import text_hash
from hierflow.plan.compiled import CompiledPlan
from hierflow.plan.cost import Estimate, estimate
from hierflow.plan.document import PlanDocument
from hierflow.plan.selection import ALL_PROMPTS, PromptSelection, Selected
from hierflow.prompts import PromptSet, load_prompts
from hierflow.stages.context import Stage
from hierflow.stages.embedding.advice import advice
from hierflow.stages.embedding.embeddings import embed
from hierflow.stages.embedding.left_out import told
from hierflow.stages.making.todo import todo
from hierflow.stages.making.wanted import by_lane, unmade
from hierflow.stages.overview.preflight import check_memory
from hierflow.stages.planning.make_plan import fresh_plan, plan_after, plan_before
from hierflow.stages.planning.tree_comparison import TreeComparison, compare_to_fresh, images_changed
from hierflow.stages.quality.baselines import outstanding
from hierflow.stages.quality.pilot import Pilot, load_pilot
from hierflow.stages.quality.pilot_trial import trial_of
from hierflow.stages.reports.auditing import measured_pace
from hierflow.store.ledger import Entry
from hierflow.store.storage import DamagedFileError
from hierflow.tree.memory import has_room


@dataclass(frozen=True)
class Edit:
    """What has become of the prompts since the plan that is current, and both prices of it.

    Attributes:
        new, removed: distinct prompts; those that an edit brought and took are not among them.
        edited: rows whose text is another one under the id that they had.
        changed: images of the others that the run would replace by other ones.
        rebuild: evaluations of founding the tree anew, after what is stored; None where there is no memory for that.
        rebuild_changed: images of the others that this would replace; None likewise. Both as if a pilot found tau as
            it is.
        rebuild_pilot: evaluations of the pilot that this would make besides, at most; 0 if it needs none.
        is_pinned: whether the run keeps the tree.
        clustered_by: what the tree has been clustered by so far.
    """

    new: int
    removed: int
    edited: int
    changed: int
    rebuild: int | None
    rebuild_changed: int | None
    rebuild_pilot: int
    is_pinned: bool
    clustered_by: str


@dataclass(frozen=True)
class Outlook:
    """What a run would do.

    Attributes:
        name: the set.
        prompts: the prompts.
        plan: the plan a run would adopt.
        clustered_by: what its tree is clustered by.
        sizes: distinct prompts a partition, by key.
        to_run: the partitions it would run.
        evaluations: denoiser evaluations it would make, after what is stored; replays included.
        comparison: the plan beside that of a fresh tree; None where there is no memory for one.
        edit: what has changed since the current plan; None before the first run.
        baselines: evaluations that the quality report would make besides, at most.
        pilot: what tau was found by; None if it was found otherwise, or is not yet.
        pilot_at_most: evaluations of the pilot that the run would make first, at most; 0 if it needs none.
        estimate: time, at the pace earlier runs measured; None before the first run.
        warnings: what a user should know about prompts and model, what cannot be encoded first.
        selected: the prompts that the run would make, by partition; None for all. What it would run and execute, and
            the time for that, are theirs; there is no quality report before the whole set is made.
    """

    name: str
    prompts: PromptSet
    plan: PlanDocument
    clustered_by: str
    sizes: dict[str, int]
    to_run: list[str]
    evaluations: int
    comparison: TreeComparison | None
    edit: Edit | None
    baselines: int
    pilot: Pilot | None
    pilot_at_most: int
    estimate: Estimate | None
    warnings: list[str]
    selected: Selected | None = None

    def as_json(self) -> dict[str, Any]:
        """For `hierflow plan --json`."""
        guess, edit = self.estimate, self.edit
        return {
            "name": self.name,
            "prompts": len(self.prompts),
            "distinct": len(self.prompts.distinct),
            "left_out": dict(self.plan.left_out),
            "images": (len(self.prompts) - len(self.plan.left_out)) * self.plan.images_per_prompt,
            "evaluations": {
                "standard": self.plan.standard,
                "planned": self.plan.planned,
                "to_execute": self.evaluations,
                "to_rebuild": edit.rebuild if edit else None,
                "to_measure_to_rebuild": edit.rebuild_pilot if edit else None,
                "to_measure": self.baselines + self.pilot_at_most,
            },
            "tau": self.plan.tau,
            "pilot": [asdict(point) for point in self.pilot.points] if self.pilot else None,
            "saved": self.plan.saved,
            "clustered_by": self.clustered_by,
            **(self.comparison.as_json() if self.comparison else {"regret": None, "drift": None}),
            "prompts_edited": edit.edited if edit else None,
            "prompts_new": edit.new if edit else None,
            "prompts_removed": edit.removed if edit else None,
            "images_changed": edit.changed if edit else None,
            "images_changed_by_rebuild": edit.rebuild_changed if edit else None,
            "partitions": {"total": len(self.sizes), "to_run": len(self.to_run), "sizes": self.sizes},
            "seconds": round(guess.seconds, 1) if guess else None,
            "seconds_to_execute": round(guess.seconds_left, 1) if guess else None,
            "startup_share": round(guess.startup_share, 4) if guess else None,
            "suggested_max_prompts": guess.max_prompts if guess else None,
            "selected": None if self.selected is None else [i for own in self.selected.values() for i in sorted(own)],
            "warnings": self.warnings,
        }


def look_ahead(stage: Stage, rebuild: str = "", selection: PromptSelection = ALL_PROMPTS) -> Outlook:
    """Plan without adopting the plan. Prompts that are new to the store are embedded; the denoiser is not touched.

    Args:
        stage: the set.
        rebuild: as in :func:`hierflow.stages.planning.make_plan.make_plan`.
        selection: the prompts that the run would make.

    Raises:
        InputError: the selection is wrong, `rebuild` is no partition, or one of a tree that is not kept, or there is
            too little memory to cluster the prompts.
        RunError: no plan of the set is intact, so that the tree that has run cannot be kept.
    """
    prompts = load_prompts(stage.spec.prompts, stage.base)
    selection.check(prompts, rebuild)
    check_memory(stage, prompts, rebuild)
    stage.store.claim()
    before, embeddings = plan_before(stage, rebuild), embed(stage, prompts)
    compiled = plan_after(stage, prompts, embeddings, before, rebuild, may_measure=False)
    selected = selection.resolve(compiled, prompts)
    keys, left_out = todo(stage.store, compiled, selected=selected), compiled.document.left_out
    entries = stage.store.ledger.entries()
    evaluations = _evaluations(stage, compiled, prompts, entries, selected)
    founds = before is not None and has_room(len(prompts.distinct))
    tree = compiled.planted.tree if compiled.planted.is_founding(embeddings.hashes) else None
    fresh = fresh_plan(stage, prompts, embeddings, compiled.document.tau, tree) if founds else None
    pace = measured_pace(entries, stage.pace)
    sizes = {key: len(compiled.texts_of(key)) for key in compiled.document.keys}
    return Outlook(
        name=stage.spec.name,
        prompts=prompts,
        plan=compiled.document,
        clustered_by=compiled.planted.clustering.name,
        sizes=sizes,
        to_run=keys,
        evaluations=evaluations,
        comparison=compare_to_fresh(stage, compiled, embeddings, fresh.planted if fresh else None),
        edit=_edit(stage, prompts, before, compiled, fresh, entries) if before else None,
        baselines=outstanding(stage, compiled, prompts) if selected is None else 0,
        pilot=load_pilot(stage, compiled.document.pilot) if compiled.document.pilot else None,
        pilot_at_most=0 if compiled.document.pilot else _pilot_at_most(stage, compiled, prompts),
        estimate=estimate(
            pace, compiled.document.planned, len(prompts) - len(left_out), len(sizes), (evaluations, len(keys))
        )
        if pace
        else None,
        warnings=[*told(left_out), *advice(stage, prompts)],
        selected=selected,
    )


def _pilot_at_most(stage: Stage, compiled: CompiledPlan, prompts: PromptSet) -> int:
    """The evaluations of the pilot that founding the tree of a plan takes, unless there was one."""
    target = stage.spec.sharing.quality
    if target is None:
        return 0
    trial = trial_of(stage, compiled, prompts, target)
    return 0 if load_pilot(stage, trial.name) else trial.most_evaluations


def _edit(
    stage: Stage,
    prompts: PromptSet,
    before: CompiledPlan,
    compiled: CompiledPlan,
    fresh: CompiledPlan | None,
    entries: Sequence[Entry],
) -> Edit:
    old, new = before.leaf_of.keys(), compiled.leaf_of.keys()
    edited = _edited_rows(_prompts_of(stage, before), prompts)
    return Edit(
        new=len(new - old - {now for _, now in edited}),
        removed=len(old - new - {was for was, _ in edited}),
        edited=len(edited),
        changed=images_changed(before, compiled),
        rebuild=_evaluations(stage, fresh, prompts, entries) if fresh else None,
        rebuild_changed=images_changed(before, fresh) if fresh else None,
        rebuild_pilot=_pilot_at_most(stage, fresh, prompts) if fresh else 0,
        is_pinned=compiled.document.tree == before.document.tree or compiled.planted.growth is not None,
        clustered_by=before.planted.clustering.name,
    )


def _prompts_of(stage: Stage, before: CompiledPlan) -> PromptSet | None:
    """The prompts a plan was made from; None where they are lost."""
    try:
        return stage.store.prompts.load(before.document.prompts)
    except (FileNotFoundError, DamagedFileError):
        return None


def _edited_rows(before: PromptSet | None, now: PromptSet) -> list[tuple[str, str]]:
    """The hash of what it was and of what it is, of every row whose text is another one under the id it had."""
    texts = dict(zip(before.ids, before.texts, strict=True)) if before else {}
    pairs = ((texts.get(name, text), text) for name, text in zip(now.ids, now.texts, strict=True))
    return [(text_hash(was), text_hash(text)) for was, text in pairs if was != text]


def _evaluations(
    stage: Stage,
    compiled: CompiledPlan,
    prompts: PromptSet,
    entries: Sequence[Entry],
    selected: Selected | None = None,
) -> int:
    """What the images that are missing take, by which states are stored; no state is opened."""
    missing = unmade(stage, compiled, prompts, compiled.document.keys, entries, selected)
    terminals = compiled.terminals(by_lane(missing))
    return sum(map(len, plan_work(terminals, has=stage.store.states.__contains__)))
