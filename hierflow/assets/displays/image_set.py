"""Of image_set: where it lies, how much of it is there, and its schema."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from hierflow.assets.displays.values import Metadata, link
from hierflow.assets.tables import table
from hierflow.images import ImageRow, build_manifest
from hierflow.stages.context import Stage
from hierflow.stages.keeping.space import Space
from hierflow.stages.overview.partition_states import SHOWN, PartitionState
from hierflow.stages.reports.history import HISTORY_PAGE
from hierflow.stages.reports.image_set import GALLERY, MANIFEST, AssembledSet

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
    "status": "current, outdated (the last good image of a prompt since failed), failed, or pending (not made yet)",
    "error": "why it is not current",
}


def manifest_columns(rows: Sequence[ImageRow]) -> dg.TableSchema:
    """The schema of a manifest of `rows`."""
    schema = build_manifest(rows, list(rows[0].axes) if rows else []).schema
    about = _MANIFEST_COLUMNS
    return dg.TableSchema(
        columns=[dg.TableColumn(field.name, str(field.type), about.get(field.name)) for field in schema]
    )


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
    failed = [row for row in made.rows if row.status != "current" and not row.is_pending]
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
