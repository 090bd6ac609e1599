"""A compiled plan, small and without a model."""

from __future__ import annotations

import numpy as np

from hierflow.hashing import text_hash
from hierflow.plan.compiled import CompiledPlan
from hierflow.plan.document import PlanDocument, PlannedPartition, PlannedVariant
from hierflow.plan.identity import SamplingIdentity
from hierflow.plan.lanes import Variant
from hierflow.plan.partitions import cut_bins
from hierflow.tree import EmbeddingTree
from hierflow.tree.planted import PlantedTree


def planted(prompts: int = 9, seed: int = 0) -> PlantedTree:
    """A tree of random embeddings, with a text for every leaf."""
    texts = tuple(sorted(text_hash(f"prompt {number}") for number in range(prompts)))
    vectors = np.random.default_rng(seed).normal(size=(prompts, 5))
    return PlantedTree(EmbeddingTree.from_embeddings(vectors), texts, "enc")


def compiled(prompts: int = 9, *, tau: float = 1.2, steps: int = 6, images: int = 2, seed: int = 0) -> CompiledPlan:
    """A plan in bins of up to four prompts."""
    tree = planted(prompts, seed)
    plan = tree.tree.plan(tau, steps)
    partitions = tuple(
        PlannedPartition(f"bin-{index}", subtrees, f"slice-{index}")
        for index, subtrees in enumerate(cut_bins(tree.tree, 4))
    )
    document = PlanDocument(
        tree=tree.id,
        prompts="p" * 64,
        tau=tau,
        tau_from={"tau": tau},
        steps=steps,
        images_per_prompt=images,
        encoder="enc",
        decoder="dec",
        scorers={"clip_similarity": "1"},
        sampling=SamplingIdentity("net", {"timesteps": [3, 2, 1]}, 4.5, 64, 64, "float32", 0, "per_root", None),
        negative_prompt="",
        variants=(PlannedVariant(Variant(0, 64, 64), tuple(range(prompts))),),
        sizes=(),
        partitions=partitions,
        tombstones=("old-123456",),
        planned=plan.evaluations * images,
        standard=plan.standard_evaluations * images,
    )
    return CompiledPlan(document, tree)
