"""Of compute_audit: its figures, and the evaluations by column."""

from __future__ import annotations

from collections.abc import Sequence

from hierflow.assets.displays.values import Metadata, evaluations, link
from hierflow.assets.tables import table
from hierflow.audit.account import BOOKED, Audit, audit_metadata
from hierflow.audit.columns import ColumnShare, by_columns
from hierflow.images import ImageRow
from hierflow.stages.context import Stage
from hierflow.stages.reports.assembly import AUDIT, AUDIT_PAGE


def account_metadata(stage: Stage, rows: Sequence[ImageRow], account: Audit, all_runs: Audit) -> Metadata:
    """Of compute_audit: its figures, and the evaluations by every column of the prompts that has few values."""
    known = {
        f"evaluations_{name}" if name in BOOKED else name: round(value, 4) if isinstance(value, float) else value
        for name, value in audit_metadata(account).items()
        if value is not None
    }
    by, _ = by_columns(rows, evaluations(stage), all_runs)
    tables = {f"by_{column}": table(_share(share) for share in shares) for column, shares in by.items()}
    return {"page": link(stage, AUDIT_PAGE), "audit": link(stage, AUDIT), **known, **tables}


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
