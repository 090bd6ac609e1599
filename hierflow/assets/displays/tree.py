"""Of embedding_tree: what the plan costs and saves, and pictures of the tree and of how tau was found."""

from __future__ import annotations

from typing import Any

from hierflow.assets.displays.values import PICTURE_BYTES, Metadata, picture
from hierflow.assets.tables import table
from hierflow.images.dendrogram import dendrogram
from hierflow.images.pilot_curve import pilot_curve
from hierflow.plan.compiled import CompiledPlan
from hierflow.plan.document import PlanDocument
from hierflow.prompts import PromptSet
from hierflow.stages.context import Stage
from hierflow.stages.planning.tree_comparison import TreeComparison
from hierflow.stages.quality.pilot import curve_of


def tree_metadata(
    stage: Stage, compiled: CompiledPlan, prompts: PromptSet, comparison: TreeComparison | None
) -> Metadata:
    """Of embedding_tree: what the plan costs and saves, and how tau cuts the tree."""
    document = compiled.document
    partitions = [
        {"partition": partition.key, "prompts": len(compiled.texts_of(partition.key))}
        for partition in document.partitions
    ]
    return {
        "tree": _drawn_tree(stage, compiled, prompts),
        "saved": round(document.saved, 4),
        "evaluations_planned": document.planned,
        "evaluations_standard": document.standard,
        **({name: round(value, 4) for name, value in comparison.as_json().items()} if comparison else {}),
        "prompts": compiled.plan.leaves,
        "grafts": int(compiled.planted.generations.max()),
        "retired": int((~compiled.live).sum()),
        "partitions": len(document.partitions),
        "partition_sizes": table(partitions),
        "tau": document.tau,
        "clustered_by": compiled.planted.clustering.name,
        "plan": document.id,
        **_pilot_metadata(stage, document),
    }


def _pilot_metadata(stage: Stage, document: PlanDocument) -> Metadata:
    """The curve that tau was found by."""
    curve = curve_of(stage, document)
    if curve is None:
        return {}
    rows = [
        {
            "budget": point.budget,
            "tau": round(point.tau, 4),
            "pairs": point.pairs,
            "difference": str(point.difference),
            "passed": point.passed,
        }
        for point in curve.points
    ]
    drawn = picture(pilot_curve(curve), "png", "What each budget does to quality")
    return {"pilot": table(rows), "pilot_curve": drawn}


def _drawn_tree(stage: Stage, compiled: CompiledPlan, prompts: PromptSet) -> Any:
    """The plan stands by now; that it cannot be drawn (fonts, memory) must not make its run a failed one.

    The picture is kept beside the plan: drawing it takes longer than all else that a run with nothing to do does.
    """
    path = f"plans/{compiled.document.id}.png"
    try:
        drawn = stage.store.files.read(path)
    except FileNotFoundError:
        text_of = dict(zip(prompts.hashes, prompts.distinct, strict=True))
        texts = [text_of[text] for text in compiled.leaf_of]
        try:
            drawn = dendrogram(compiled, texts, limit_bytes=PICTURE_BYTES)
        except Exception as error:
            stage.say(f"the tree could not be drawn: {type(error).__name__}: {error}")
            return f"could not be drawn: {type(error).__name__}: {error}"
        stage.store.files.write(path, drawn)
    return picture(drawn, "png", "The embedding tree and its cut")
