"""An image set in figures: after a run, at any time, and over all its runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Protocol

from hierflow.audit.account import Audit
from hierflow.audit.columns import ColumnShare, by_column
from hierflow.audit.history import PastRun, past_runs, total_of
from hierflow.errors import InputError
from hierflow.images import ImageRow
from hierflow.plan.compiled import CompiledPlan
from hierflow.prompts import load_prompts
from hierflow.stages.context import Stage
from hierflow.stages.embedding.embeddings import clustering
from hierflow.stages.keeping.space import space_of
from hierflow.stages.overview.partition_states import condition_counts, partition_states
from hierflow.stages.planning.last_plan import last_plan
from hierflow.stages.quality.summary import quality_summary
from hierflow.stages.reports.assembly import AUDIT, AUDIT_PAGE
from hierflow.stages.reports.auditing import audit
from hierflow.stages.reports.image_set import GALLERY, MANIFEST, AssembledSet, assembled
from hierflow.store.ledger import Entry


class Launched(Protocol):
    """What a summary needs to know of a launch."""

    seconds: float
    plan: CompiledPlan | None
    run: list[str]
    skipped: list[str]
    failed: list[str]
    left: dict[str, str]
    problems: list[str]


def summarise(stage: Stage, done: Launched) -> dict[str, Any]:
    """The object that `hierflow run --json` prints, whatever has happened."""
    if done.plan is None:
        return _nothing(stage, done)
    compiled = done.plan
    entries = stage.store.ledger.entries()
    made = _assembled(stage, compiled, entries)
    books = audit(stage, compiled, made.rows, entries).books
    return {
        "name": stage.spec.name,
        "prompts": len({row.prompt_id for row in made.rows}),
        "images": made.current,
        "wanted": len(made.rows),
        "complete": made.complete,
        "partitions": {
            "total": len(compiled.document.partitions),
            "run": len(done.run),
            "skipped": len(done.skipped),
            "failed": len(done.failed),
            "left": _left(done, made.rows),
        },
        "evaluations": {
            name: getattr(books, name) for name in ("standard", "planned", "executed", "reused", "replayed", "redone")
        },
        "measured": books.measured,
        "saved": books.saved,
        "quality": quality_summary(stage),
        "seconds": round(done.seconds, 3),
        **_places(stage, MANIFEST, GALLERY, AUDIT),
        "bytes": space_of(stage, len(compiled.leaf_of)).as_json(),
    }


def _left(done: Launched, rows: Sequence[ImageRow]) -> dict[str, dict[str, int]]:
    """By the run of others: how many partitions were left to it, and how many of their images it has yet to make."""
    lacking = Counter(row.partition for row in rows if row.status != "current")
    left = {run: {"partitions": 0, "images": 0} for run in done.left.values()}
    for key, run in done.left.items():
        left[run]["partitions"] += 1
        left[run]["images"] += lacking[key]
    return left


def status_of(stage: Stage) -> dict[str, Any]:
    """What is made and what is still to do.

    Raises:
        InputError: the set has never been run.
        RunError: its plans are lost.
    """
    compiled = current_plan(stage)
    entries = stage.store.ledger.entries()
    made = _assembled(stage, compiled, entries)
    edited = _edited(stage, compiled)
    states = partition_states(stage, compiled, made.rows, entries)
    left = [state.key for state in states if state.condition != "fresh"]
    space = space_of(stage, len(compiled.leaf_of))
    return {
        "name": stage.spec.name,
        "plan": compiled.document.id,
        "prompts": len({row.prompt_id for row in made.rows}),
        "images": made.current,
        "wanted": len(made.rows),
        "complete": made.complete,
        "edited": edited,
        "partitions": {"total": len(compiled.document.partitions), "to_run": left},
        "conditions": dict(condition_counts(states)),
        "states": [state.as_json() for state in states],
        "bytes": space.as_json(),
        "bytes_a_prompt": space.a_prompt(),
        "failed": [
            {
                "prompt_id": row.prompt_id,
                "prompt": row.prompt,
                "image_index": row.image_index,
                "status": row.status,
                "error": row.error,
            }
            for row in made.rows
            if row.status != "current" and not row.is_pending
        ],
        "pending": sum(row.is_pending for row in made.rows),
        "saved": compiled.document.saved,
        "clustered_by": compiled.planted.clustering.name,
        **_places(stage, MANIFEST, GALLERY),
        "quality": quality_summary(stage),
    }


def _edited(stage: Stage, compiled: CompiledPlan) -> list[str]:
    """The sections of the document that no longer say what the current plan was made from."""
    plan, spec, adapter = compiled.document, stage.spec, stage.adapter
    before_and_now = {
        "prompts": (plan.prompts, load_prompts(spec.prompts, stage.base).content_hash),
        "diffusion": (
            (plan.sampling, plan.encoder, plan.decoder, plan.images_per_prompt),
            (
                adapter.identity,
                adapter.encoder_fingerprint,
                adapter.decoder_fingerprint,
                spec.diffusion.images_per_prompt,
            ),
        ),
        "embedding": (compiled.planted.clustering.fingerprint, clustering(stage).fingerprint),
        "sharing": (
            (dict(plan.tau_from), compiled.planted.tree.linkage),
            (dict(spec.sharing.tau_from), spec.sharing.linkage),
        ),
    }
    return [section for section, (before, now) in before_and_now.items() if before != now]


@dataclass(frozen=True)
class AuditReport:
    """What `hierflow audit` tells.

    Attributes:
        account: over all runs of the present plan.
        by: the account by the columns asked for.
        page: where the last run left the account as a page; None if none did.
        clustered_by: what the plan's tree is clustered by.
        past: every run there has been, whatever plan it was for, oldest first; those since a day if one was given.
        since: that day.
    """

    account: Audit
    by: dict[str, list[ColumnShare]]
    page: str | None
    clustered_by: str
    past: Sequence[PastRun] = ()
    since: date | None = None

    def as_json(self) -> dict[str, Any]:
        """For `hierflow audit --json`."""
        by = {column: [share.as_json() for share in shares] for column, shares in self.by.items()}
        return {
            **self.account.as_json(),
            "by": by,
            "page": self.page,
            "clustered_by": self.clustered_by,
            "past_runs": [run.as_json() for run in self.past],
            "past_total": asdict(total_of(self.past)),
        }


def audit_of(stage: Stage, columns: Sequence[str] = (), since: str | None = None) -> AuditReport:
    """The account over all runs of the present plan, and by any columns of the prompts, however many their values.

    Args:
        stage: the set.
        columns: of the prompts.
        since: a day, as 2026-11-16; the past runs are those that began at its midnight, UTC, or later. None: all.

    Raises:
        InputError: the set has never been run, or has no such column, or `since` is no day.
        RunError: its plans are lost.
    """
    day = None if since is None else _day(since)
    compiled = current_plan(stage)
    entries = stage.store.ledger.entries()
    rows = _assembled(stage, compiled, entries).rows
    account = audit(stage, compiled, rows, entries, whole_plan=True)
    ids, steps, files = stage.spec.prompts.id_column, compiled.plan.steps, stage.store.files
    by = {
        column: by_column(rows, steps, "prompt_id" if column == ids else column, account)
        for column in dict.fromkeys(columns)
    }
    page = files.url(AUDIT_PAGE) if files.exists(AUDIT_PAGE) else None
    past = past_runs(entries, stage.spec.cost)
    if day:
        past = [run for run in past if run.began >= datetime.combine(day, time(), UTC).timestamp()]
    return AuditReport(account, by, page, compiled.planted.clustering.name, past, day)


def _day(since: str) -> date:
    try:
        return date.fromisoformat(since)
    except ValueError:
        raise InputError(
            "is not a day",
            file="--since",  # not a field of the document
            value=since,
            remedy="write it as year, month and day, such as 2026-11-16",
        ) from None


def current_plan(stage: Stage) -> CompiledPlan:
    """The plan that the set goes on from.

    Raises:
        InputError: the set has never been run.
        RunError: its plans are lost.
    """
    compiled = last_plan(stage)
    if compiled is None:
        raise InputError(
            "has not been run yet", field="name", value=stage.spec.name, remedy="run it first: hierflow run SPEC"
        )
    return compiled


def _assembled(stage: Stage, compiled: CompiledPlan, entries: Sequence[Entry]) -> AssembledSet:
    return assembled(stage, compiled, stage.store.prompts.load(compiled.document.prompts), entries)


def _places(stage: Stage, *reports: str) -> dict[str, str | None]:
    """Where some reports lie, by their names without the ending; None where one was never written."""
    files = stage.store.files
    return {path.partition(".")[0]: files.url(path) if files.exists(path) else None for path in reports}


def _nothing(stage: Stage, done: Launched) -> dict[str, Any]:
    """What can be said without a plan: it knows what is asked for, and of nothing whether it is there."""
    prompts = len(load_prompts(stage.spec.prompts, stage.base))
    counts = dict.fromkeys(("standard", "planned", "executed", "reused", "replayed", "redone"), 0)
    return {
        "name": stage.spec.name,
        "prompts": prompts,
        "images": 0,
        "wanted": prompts * stage.spec.diffusion.images_per_prompt,
        "complete": False,
        "partitions": {"total": 0, "run": 0, "skipped": 0, "failed": 0, "left": {}},
        "evaluations": counts,
        "measured": 0,
        "saved": 0.0,
        "quality": None,
        "seconds": round(done.seconds, 3),
        "manifest": None,
        "gallery": None,
        "audit": None,
        "bytes": {"states": 0, "images": 0, "all": 0},
        "error": "; ".join(done.problems),
    }
