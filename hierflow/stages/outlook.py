"""What a run would do and cost, from the plan alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hierflow.denoise.sampler_state import SamplerState
from hierflow.denoise.work import plan_work
from hierflow.plan.cost import Estimate, estimate
from hierflow.prompts import PromptSet, load_prompts
from hierflow.stages.advice import advice
from hierflow.stages.auditing import measured_pace
from hierflow.stages.context import Stage
from hierflow.stages.embeddings import embed
from hierflow.stages.planning import make_plan
from hierflow.stages.todo import todo
from hierflow.store.plans import CompiledPlan, PlanDocument


@dataclass(frozen=True)
class Outlook:
    """What a run would do.

    Attributes:
        name: the set.
        prompts: the prompts.
        plan: the plan a run would adopt.
        sizes: distinct prompts a partition, by key.
        to_run: the partitions it would run.
        evaluations: denoiser evaluations it would make, after what is stored.
        estimate: time, at the pace earlier runs measured; None before the first run.
        warnings: what a user should know about prompts and model.
    """

    name: str
    prompts: PromptSet
    plan: PlanDocument
    sizes: dict[str, int]
    to_run: list[str]
    evaluations: int
    estimate: Estimate | None
    warnings: list[str]

    def as_json(self) -> dict[str, Any]:
        """For `hierflow plan --json`."""
        guess = self.estimate
        return {
            "name": self.name,
            "prompts": len(self.prompts),
            "distinct": len(self.prompts.distinct),
            "images": len(self.prompts) * self.plan.images_per_prompt,
            "evaluations": {
                "standard": self.plan.standard,
                "planned": self.plan.planned,
                "to_execute": self.evaluations,
            },
            "saved": self.plan.saved,
            "partitions": {"total": len(self.sizes), "to_run": len(self.to_run), "sizes": self.sizes},
            "seconds": round(guess.seconds, 1) if guess else None,
            "startup_share": round(guess.startup_share, 4) if guess else None,
            "suggested_max_prompts": guess.max_prompts if guess else None,
            "warnings": self.warnings,
        }


def look_ahead(stage: Stage) -> Outlook:
    """Plan without adopting the plan. Prompts that are new to the store are embedded; the denoiser is not touched."""
    prompts = load_prompts(stage.spec.prompts, stage.base)
    stage.store.claim()
    compiled = make_plan(stage, prompts, embed(stage, prompts))
    keys = todo(stage.store, compiled)
    evaluations = _evaluations(stage, compiled, keys)
    pace = measured_pace(stage.store.ledger.entries(), stage.pace)
    sizes = {key: len(compiled.texts_of(key)) for key in compiled.document.keys}
    return Outlook(
        name=stage.spec.name,
        prompts=prompts,
        plan=compiled.document,
        sizes=sizes,
        to_run=keys,
        evaluations=evaluations,
        estimate=estimate(pace, compiled.document.planned, len(prompts), len(sizes)) if pace else None,
        warnings=advice(stage, prompts),
    )


def _evaluations(stage: Stage, compiled: CompiledPlan, keys: list[str]) -> int:
    """What the partitions `keys` lack, by what is stored under which id; no state is opened."""
    owned = {compiled.document.keys.index(key) for key in keys}
    segments = [int(compiled.plan.segment_of_node[leaf]) for leaf in compiled.leaf_of.values()]
    terminals = [segment for segment in segments if compiled.segment_owner[segment] in owned]
    present = SamplerState(None, {}, {})  # type: ignore[arg-type]  # stands for any stored state
    stretches = plan_work(
        compiled,
        terminals,
        has=stage.store.states.__contains__,
        load=lambda state: present,
        checkpoint_every=0,
    )
    return sum(map(len, stretches))
