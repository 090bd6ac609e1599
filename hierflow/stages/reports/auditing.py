"""The ledger and the plan to an audit: what it cost, what it saved, and whether the books balance."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from hierflow.audit.account import Audit, account
from hierflow.audit.books import State, keep_books, states_of
from hierflow.audit.columns import by_columns
from hierflow.audit.history import past_runs, plans_of, total_of
from hierflow.audit.made import Executions, Path, set_now
from hierflow.audit.page import render_audit
from hierflow.hashing import text_hash
from hierflow.images import ImageRow, Latents
from hierflow.plan.compiled import CompiledPlan
from hierflow.plan.cost import Pace
from hierflow.plan.lanes import Lane
from hierflow.stages.context import Stage
from hierflow.stages.reports.assembly import AUDIT, AUDIT_PAGE
from hierflow.stages.reports.image_set import GALLERY
from hierflow.store.ledger import Entry, Work


def audit(
    stage: Stage,
    compiled: CompiledPlan,
    rows: Sequence[ImageRow],
    entries: Sequence[Entry] | None = None,
    *,
    whole_plan: bool = False,
) -> Audit:
    """Keep the books.

    Args:
        stage: whose invocation is audited.
        compiled: the plan.
        rows: the images as they are.
        entries: the ledger's; by default as it is now.
        whole_plan: audit every run that worked on this plan, whoever launched it, instead of one invocation.
            Embeddings and pilots are made before there is a plan; see :func:`plans_of` for whose they are.
    """
    entries = stage.store.ledger.entries() if entries is None else entries
    rows, plan_of = [row for row in rows if row.is_planned], plans_of(entries)

    def is_own(entry: Entry) -> bool:
        if whole_plan:
            return (entry.plan or plan_of[entry.invocation]) == compiled.document.id
        return entry.invocation == stage.invocation

    books = keep_books(
        compiled.document.standard,
        _planned(compiled),
        entries,
        is_own,
        unmade=_unmade(compiled, rows),
        unreadable=sorted(stage.store.ledger.damaged),
        illegible=sorted(stage.store.ledger.illegible),
    )
    paths, executions = _paths(compiled, rows), Executions(entries)
    return account(
        books,
        entries,
        [entry for entry in entries if is_own(entry)],
        executions.made_by(is_own, paths),
        set_now(executions.there(paths), executions.behind(paths), stage.spec.cost),
        stage.spec.cost,
    )


def write_audit(
    stage: Stage, compiled: CompiledPlan, rows: Sequence[ImageRow], entries: Sequence[Entry] | None = None
) -> tuple[Audit, Audit]:
    """Store the account beside the set: of this invocation, and of all runs of the plan. Returns both.

    It takes what :func:`audit` does; both are of one state of the ledger.
    """
    entries = stage.store.ledger.entries() if entries is None else entries
    this_run = audit(stage, compiled, rows, entries)
    all_runs = audit(stage, compiled, rows, entries, whole_plan=True)
    by, left_out = by_columns(rows, compiled.plan.steps, all_runs)
    past = past_runs(entries, stage.spec.cost)
    stored = {
        "set": stage.spec.name,
        "plan": compiled.document.id,
        "this_run": this_run.as_json(),
        "all_runs_of_this_plan": all_runs.as_json(),
        "by": {column: [share.as_json() for share in shares] for column, shares in by.items()},
        "columns_of_too_many_values": left_out,
        "past_runs": [run.as_json() for run in past],
        "past_total": asdict(total_of(past)),
    }
    text = json.dumps(stored, indent=1, ensure_ascii=False)
    stage.store.files.write(AUDIT, text.encode(), durable=True)
    page = render_audit(stage.spec.name, this_run, all_runs, by, left_out, past, gallery=GALLERY)
    stage.store.files.write(AUDIT_PAGE, page.encode(), durable=True)
    return this_run, all_runs


def measured_pace(entries: Sequence[Entry], pace: str) -> Pace | None:
    """Seconds an evaluation and a start-up, from the latest runs that measured them; None if none has.

    Args:
        entries: the ledger, oldest first.
        pace: which runs count: those of one network, size and device, see `Stage.pace`.
    """
    measured = [
        entry
        for entry in entries
        if entry.stage == "partition" and entry.pace == pace and entry.evaluations and entry.seconds.get("denoise")
    ]
    if not measured:
        return None
    latest = measured[-8:]
    return Pace(
        seconds_per_evaluation=sum(e.seconds["denoise"] for e in latest) / sum(e.evaluations for e in latest),
        startup_seconds=sum(e.seconds.get("startup", 0.0) for e in latest) / len(latest),
    )


def _planned(compiled: CompiledPlan) -> list[Work]:
    return [_work(compiled, lane, segment) for lane in compiled.lanes for segment in lane.segments.tolist()]


def _unmade(compiled: CompiledPlan, rows: Sequence[ImageRow]) -> set[State]:
    """The states that only lead to images that do not exist."""
    made = {row.latents for row in rows if row.status == "current"}
    unmade = {row.latents for row in rows} - made
    if not unmade:
        return set()
    return _states(compiled, unmade) - _states(compiled, made)


def _states(compiled: CompiledPlan, images: Iterable[Latents]) -> set[State]:
    return {state for latents in images for state in states_of(_path(compiled, latents))}


def _paths(compiled: CompiledPlan, rows: Sequence[ImageRow]) -> list[Path]:
    """What leads to each of the images that exist; those of the same latents are one."""
    return [_path(compiled, latents) for latents in {row.latents: None for row in rows if row.status == "current"}]


def _path(compiled: CompiledPlan, latents: Latents) -> Path:
    lane = compiled.lane(latents.variant, latents.image_index)
    path = compiled.plan.path(compiled.leaf_of[text_hash(latents.prompt)])
    return [_work(compiled, lane, segment) for segment in path]


def _work(compiled: CompiledPlan, lane: Lane, segment: int) -> Work:
    return Work(lane.ids.chain(segment), int(compiled.plan.first[segment]), int(compiled.plan.last[segment]))
