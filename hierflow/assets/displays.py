"""What the Dagster UI shows of each asset beside its figures: tables, pictures and links.

Everything here lies in the event log of every run, so it stays small: no picture above 100 KB, no long table. Figures
are plain numbers, so that Dagster plots them over runs.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import dagster as dg

from hierflow.assets.tables import prompt_table, table
from hierflow.audit.account import BOOKED, Audit, audit_metadata
from hierflow.audit.columns import ColumnShare, by_columns
from hierflow.images import ImageRow, build_manifest, contact_sheet, decode_png
from hierflow.images.dendrogram import dendrogram
from hierflow.images.pilot_curve import CurvePoint, pilot_curve
from hierflow.plan.compiled import CompiledPlan
from hierflow.plan.document import PlanDocument
from hierflow.prompts import PromptSet
from hierflow.scoring.choice import COMPARED
from hierflow.scoring.quality import Quality
from hierflow.stages.assembly import QUALITY, QUALITY_PAGE
from hierflow.stages.auditing import AUDIT, AUDIT_PAGE
from hierflow.stages.context import Stage
from hierflow.stages.history import HISTORY_PAGE
from hierflow.stages.image_set import GALLERY, MANIFEST, AssembledSet
from hierflow.stages.partition_states import SHOWN, PartitionState
from hierflow.stages.pilot import load_pilot
from hierflow.stages.space import Space
from hierflow.stages.tree_comparison import TreeComparison
from hierflow.store.records import ImageRecord, PartitionRecord

_SHEET_IMAGES = 48
_ROWS = 20
_PICTURE_BYTES = 70_000
"""Of a picture before base64, which makes 93 KB of them."""

_MANIFEST_COLUMNS = {
    "prompt_id": "stays when the text is edited",
    "image_index": "which of the prompt's images, counted from 0",
    "negative_prompt": "what it is guided away from; empty if nothing is named",
    "image_width": "in pixels",
    "image_height": "in pixels",
    "partition": "the key of the partition that makes it",
    "node_path": "the nodes of the tree that served it, from the root down, and their steps",
    "image_path": "relative to the set's folder; empty where there is no image",
    "evaluations": "its equal share of the planned states on its path; sums to the plan",
    "evaluations_paid": "what was executed for it; it stays, whatever becomes of others",
    "run_id": "the run that made it",
    "scores": "quality scores by name",
    "status": "current, outdated (the last good image of a prompt that failed since) or failed",
    "error": "why it is not current",
}

Metadata = dict[str, Any]


def text_columns(*names: str) -> dg.TableSchema:
    """The schema of a table of texts."""
    return dg.TableSchema(columns=[dg.TableColumn(name, "string") for name in names])


def manifest_columns(rows: Sequence[ImageRow]) -> dg.TableSchema:
    """The schema of a manifest of `rows`."""
    schema = build_manifest(rows, list(rows[0].axes) if rows else []).schema
    about = _MANIFEST_COLUMNS
    return dg.TableSchema(
        columns=[dg.TableColumn(field.name, str(field.type), about.get(field.name)) for field in schema]
    )


def picture(data: bytes, kind: str, caption: str) -> dg.MarkdownMetadataValue:
    """A picture that the UI shows behind "Show Markdown"."""
    return dg.MetadataValue.md(f"![{caption}](data:image/{kind};base64,{base64.b64encode(data).decode()})")


def link(stage: Stage, path: str) -> Any:
    """Where a file of the set lies: a link if `storage.url` says where a browser finds it, else its path."""
    url = stage.spec.storage.url
    if url:
        return dg.MetadataValue.url(f"{url.rstrip('/')}/{stage.spec.name}/{path}")
    return dg.MetadataValue.path(stage.store.files.url(path))


def refusals(prompts: PromptSet, left_out: Mapping[str, str]) -> Metadata:
    """Of the check `encoded`: which prompts are left out, and why."""
    if not left_out:
        return {"left_out": 0}
    text_of = dict(zip(prompts.ids, prompts.texts, strict=True))
    rows = ({"prompt_id": name, "prompt": text_of[name], "error": why} for name, why in left_out.items())
    return {"left_out": len(left_out), "prompts": table(rows)}


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
    found = load_pilot(stage, document.pilot) if document.pilot else None
    if found is None or not found.points:
        return {}
    target = document.tau_from["quality"]
    rows = [
        {
            "budget": point.budget,
            "tau": round(point.tau, 4),
            "pairs": point.pairs,
            "difference": str(point.difference),
            "passed": point.passed,
        }
        for point in found.points
    ]
    points = [CurvePoint(point.budget, point.difference, point.passed) for point in found.points]
    drawn = pilot_curve(points, target["metric"], target["max_loss"])
    return {"pilot": table(rows), "pilot_curve": picture(drawn, "png", "What each budget does to quality")}


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
            drawn = dendrogram(compiled, texts, limit_bytes=_PICTURE_BYTES)
        except Exception as error:
            stage.say(f"the tree could not be drawn: {type(error).__name__}: {error}")
            return f"could not be drawn: {type(error).__name__}: {error}"
        stage.store.files.write(path, drawn)
    return picture(drawn, "png", "The embedding tree and its cut")


def partition_metadata(stage: Stage, prompts: PromptSet, record: PartitionRecord) -> dict[str, Metadata]:
    """Of a partition's three assets, by their short names."""
    made = [image for image in record.images if not image.error]
    failed = [image for image in record.images if image.error]
    names = sorted({name for image in made for name in image.scores})
    scores = {name: [image.scores[name] for image in made if name in image.scores] for name in names}
    standard = len({image.state for image in record.images}) * _evaluations(stage)
    row_of = {prompt_id: row for row, prompt_id in enumerate(prompts.ids)}
    rows = [row_of[prompt_id] for prompt_id in dict.fromkeys(image.prompt_id for image in record.images)]
    images: Metadata = {
        "contact_sheet": _sheet(stage, made),
        "dagster/row_count": len(made),
        "failed": len(failed),
        "folder": link(stage, "images"),
    }
    unscored = [(image, name) for image in made for name in record.scorers if name not in image.scores]
    without = [{"prompt_id": image.prompt_id, "score": name, "image": image.path} for image, name in unscored[:_ROWS]]
    if failed:
        images["failures"] = table({"prompt_id": image.prompt_id, "error": image.error} for image in failed)
    return {
        "subtree_latents": {
            "evaluations_planned": record.planned,
            "evaluations_executed": record.executed,
            "evaluations_reused": max(record.planned - record.executed, 0),
            "evaluations_standard": standard,
            "saved": round(1 - record.planned / standard, 4),
            "prompts": prompt_table(prompts, rows),
        },
        "images": images,
        "quality_scores": {
            **{f"mean_{name}": round(sum(values) / len(values), 4) for name, values in scores.items()},
            "least_like_their_prompts": table(_worst_first(prompts, row_of, made)),
            **({"unscored": len(unscored), "without_a_finite_score": table(without)} if unscored else {}),
        },
    }


def image_set_metadata(stage: Stage, made: AssembledSet, states: Sequence[PartitionState], space: Space) -> Metadata:
    """Of image_set: where it lies, how much of it is there, what this run changed, and what it takes to keep."""
    changes = made.changes
    found: Metadata = {
        "gallery": link(stage, GALLERY),
        "history": link(stage, HISTORY_PAGE),
        "manifest": link(stage, MANIFEST),
        "dagster/row_count": len(made.rows),
        "images": made.current,
        "missing": len(made.rows) - made.current,
        "complete": made.complete,
        "dagster/column_schema": manifest_columns(made.rows),
        "partitions": table(partition_rows(states)),
        **{f"{name}_bytes_a_prompt": size for name, size in space.a_prompt().items()},
    }
    if changes:
        found |= {name: getattr(changes, name) for name in ("new", "changed", "kept", "retired")}
    failed = [row for row in made.rows if row.status != "current"]
    if failed:
        found["failures"] = table(
            {"prompt_id": row.prompt_id, "status": row.status, "error": row.error} for row in failed
        )
    return found


def partition_rows(states: Sequence[PartitionState]) -> list[Metadata]:
    """A row a partition, those that are not fresh first."""
    ordered = sorted(states, key=lambda state: state.condition == "fresh")
    return [
        {
            "partition": state.key,
            "state": state.condition,
            "prompts": len(state.prompts),
            "such_as": "; ".join(state.prompts[:SHOWN]),
            "cause": state.cause,
            "goes_on": state.goes_on,
        }
        for state in ordered
    ]


def _evaluations(stage: Stage) -> int:
    """The evaluations of one image without sharing."""
    return sum(stage.adapter.identity.evaluations_a_step(stage.spec.diffusion.steps))


def account_metadata(stage: Stage, rows: Sequence[ImageRow], account: Audit, all_runs: Audit) -> Metadata:
    """Of compute_audit: its figures, and the evaluations by every column of the prompts that has few values."""
    known = {
        f"evaluations_{name}" if name in BOOKED else name: round(value, 4) if isinstance(value, float) else value
        for name, value in audit_metadata(account).items()
        if value is not None
    }
    by, _ = by_columns(rows, _evaluations(stage), all_runs)
    tables = {f"by_{column}": table(_share(share) for share in shares) for column, shares in by.items()}
    return {"page": link(stage, AUDIT_PAGE), "audit": link(stage, AUDIT), **known, **tables}


def quality_metadata(stage: Stage, quality: Quality) -> Metadata:
    """Of quality_report: what is known of shared images beside standard ones, and of the set as a set."""
    found: Metadata = {
        "page": link(stage, QUALITY_PAGE),
        "quality": link(stage, QUALITY),
        "pairs": len(quality.pairs),
    }
    for one in quality.judgements:
        shared = one.arms.shared
        found |= {
            f"{one.metric}_difference": round(shared.difference.estimate, 4),
            f"{one.metric}_win_rate": round(shared.win_rate.estimate, 4),
            f"{one.metric}_win_rate_interval": str(shared.win_rate),
            f"{one.metric}_win_rate_of_another_seed": str(one.arms.again.win_rate),
            f"{one.metric}_win_rate_of_a_shuffled_tree": str(one.arms.shuffled.win_rate),
        }
        if one.arms.fault:
            found[f"{one.metric}_fault"] = one.arms.fault
    if quality.verdict:
        found["quality_floor"] = quality.verdict.reason
    for name, diversity in quality.diversity.items():
        found |= {f"similarity_{name}": round(diversity.similarity, 4), f"vendi_{name}": round(diversity.vendi, 2)}
    if quality.twins:
        found["near_duplicates"] = table(asdict(twins) for twins in quality.twins[:_ROWS])
    if quality.blank:
        found["blank"] = table({"image": name} for name in quality.blank[:_ROWS])
    return found


def _share(share: ColumnShare) -> Metadata:
    """One value of a column as a row of the table."""
    row: Metadata = {
        "value": share.value,
        "images": share.images,
        "standard": share.standard,
        "planned": share.planned,
        "saved": share.saved,
        "paid": share.paid,
        "gpu_seconds": share.gpu_seconds,
    }
    return row if share.cost is None else {**row, "cost": share.cost}


def _worst_first(prompts: PromptSet, row_of: Mapping[str, int], made: list[ImageRecord]) -> Iterable[Metadata]:
    """The images that show their prompts least, by the best of the scores that say so; none if none does."""
    scored = {name for image in made for name in image.scores}
    by = next((name for name in COMPARED if name in scored), "")
    judged = sorted((image for image in made if by in image.scores), key=lambda image: image.scores[by])
    for image in judged[:10]:
        yield {"prompt": prompts.texts[row_of[image.prompt_id]], **image.scores, "image": image.path}


def _sheet(stage: Stage, images: list[ImageRecord]) -> Any:
    shown = images[:_SHEET_IMAGES]
    if not shown:
        return "no images"
    pixels = [decode_png(stage.store.files.read(image.path)) for image in shown]
    sheet = contact_sheet(pixels, limit_bytes=_PICTURE_BYTES)
    return picture(sheet, "jpeg", f"{len(shown)} of {len(images)} images")
