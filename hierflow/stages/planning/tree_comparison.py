"""A pinned tree beside the one that would be founded today: what keeping it costs, and how far it has drifted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hierflow.plan.compiled import CompiledPlan
from hierflow.plan.lanes import Variant
from hierflow.plan.mismatch import founding_directions, mean_mismatch
from hierflow.stages.context import Stage
from hierflow.stages.embedding.embeddings import Embeddings
from hierflow.stages.planning.growing import vectors_of
from hierflow.tree import EmbeddingTree
from hierflow.tree.memory import has_room
from hierflow.tree.planted import PlantedTree


@dataclass(frozen=True)
class TreeComparison:
    """Evaluations are those of one image a prompt; mismatches as :mod:`hierflow.plan.mismatch` has them.

    Attributes:
        planned, fresh_planned: evaluations of the plan, and of a fresh tree's.
        mismatch, fresh_mismatch: of an average live prompt.
    """

    planned: int
    fresh_planned: int
    mismatch: float
    fresh_mismatch: float

    @property
    def regret(self) -> float:
        """planned / fresh_planned - 1: what keeping the tree costs each time the set is made from noise."""
        return self.planned / self.fresh_planned - 1.0

    @property
    def drift(self) -> float:
        """mismatch / fresh_mismatch - 1: how much farther prompts are from what they share."""
        return self.mismatch / self.fresh_mismatch - 1.0 if self.fresh_mismatch else 0.0

    def as_json(self) -> Mapping[str, float]:
        """For `--json`."""
        return {"regret": self.regret, "drift": self.drift}


def compare_to_fresh(
    stage: Stage, compiled: CompiledPlan, embeddings: Embeddings, fresh: PlantedTree | None = None
) -> TreeComparison | None:
    """Compare a plan with the one a fresh tree over the same prompts would give; nothing is denoised.

    None where a tree has grown beyond what this machine has the memory to found anew.

    Args:
        stage: the set.
        compiled: its plan.
        embeddings: its prompts'.
        fresh: the fresh tree, where it has been founded already.
    """
    plan, planted = compiled.plan, compiled.planted
    vectors = vectors_of(stage, planted, embeddings)
    mismatch = mean_mismatch(plan, vectors, founding_directions(planted, vectors))
    if planted.is_founding(embeddings.hashes):
        return TreeComparison(plan.evaluations, plan.evaluations, mismatch, mismatch)
    if fresh is None:
        if not has_room(len(embeddings.hashes)):
            return None
        tree = EmbeddingTree.from_embeddings(embeddings.vectors, planted.tree.linkage)
        fresh = PlantedTree(tree, embeddings.hashes, planted.encoder)
    fresh_plan = fresh.tree.plan(plan.tau, plan.evaluations_a_step)
    means = founding_directions(fresh, embeddings.vectors)
    return TreeComparison(
        plan.evaluations,
        fresh_plan.evaluations,
        mismatch,
        mean_mismatch(fresh_plan, embeddings.vectors, means),
    )


def images_changed(before: CompiledPlan, after: CompiledPlan) -> int:
    """How many images of prompts that both plans have would be other images under `after`."""
    old, new = _finals(before), _finals(after)
    return sum(key not in old or old[key] != final for key, final in new.items() if key[0] in before.leaf_of)


def _finals(compiled: CompiledPlan) -> dict[tuple[str, Variant, int], str]:
    """The state that each image is decoded from, by text hash, variant and image index."""
    texts = compiled.planted.texts
    return {
        (texts[leaf], lane.variant, lane.image_index): lane.ids.final(int(leaf))
        for lane in compiled.lanes
        for leaf in lane.leaves
    }
