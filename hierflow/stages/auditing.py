"""The ledger and the plan to an audit: what it cost, what it saved, and whether the books balance."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hierflow.audit.books import Books, State, keep_books
from hierflow.images import ImageRow
from hierflow.plan.cost import Pace
from hierflow.stages.context import Stage
from hierflow.store.ledger import Entry, Work
from hierflow.store.plans import CompiledPlan

AUDIT = "audit.json"


@dataclass(frozen=True)
class Audit:
    """An image set's account.

    Attributes:
        books: of the invocation that is audited.
        executed_ever: evaluations of all invocations.
        seconds: wall seconds of this invocation, by what they went on.
        seconds_saved: estimated wall seconds that sharing and reuse saved this invocation, at its own pace; None
            if it executed nothing.
        prior_evaluations: sampler steps of the prior in this invocation.
        network_rows, network_calls, padding_rows: what the network saw in this invocation.
        runs: the entries of this invocation, shortest form.
    """

    books: Books
    executed_ever: int
    seconds: dict[str, float]
    seconds_saved: float | None
    prior_evaluations: int
    network_rows: int
    network_calls: int
    padding_rows: int
    runs: list[dict[str, Any]]

    @property
    def padding_share(self) -> float:
        """Share of the network's rows that was padding."""
        return self.padding_rows / self.network_rows if self.network_rows else 0.0

    def as_json(self) -> dict[str, Any]:
        """For `--json` and the stored file."""
        plain = asdict(self)
        plain["books"] |= {"saved": self.books.saved, "balanced": self.books.balanced}
        return {**plain, "padding_share": self.padding_share}


def audit(stage: Stage, compiled: CompiledPlan, rows: Sequence[ImageRow], *, whole_plan: bool = False) -> Audit:
    """Keep the books.

    Args:
        stage: whose invocation is audited.
        compiled: the plan.
        rows: the images as they are.
        whole_plan: audit every run that worked on this plan, whoever launched it, instead of one invocation.
            Embeddings are made before there is a plan: those of all plans count.
    """
    entries = stage.store.ledger.entries()

    def is_own(entry: Entry) -> bool:
        if whole_plan:
            return entry.plan == compiled.document.id or entry.stage == "embeddings"
        return entry.invocation == stage.invocation

    books = keep_books(
        compiled.document.standard,
        _planned(compiled),
        entries,
        is_own,
        unmade=_unmade(compiled, rows),
        unreadable=sorted(stage.store.ledger.damaged),
    )
    own = [entry for entry in entries if is_own(entry)]
    seconds = {name: round(sum(entry.seconds.get(name, 0.0) for entry in own), 3) for name in _names(own)}
    return Audit(
        books=books,
        executed_ever=sum(entry.evaluations for entry in entries),
        seconds=seconds,
        seconds_saved=_seconds_saved(books, seconds),
        prior_evaluations=sum(entry.prior_evaluations for entry in own),
        network_rows=sum(entry.network_rows for entry in own),
        network_calls=sum(entry.network_calls for entry in own),
        padding_rows=sum(entry.padding_rows for entry in own),
        runs=[_short(entry) for entry in own],
    )


def write_audit(stage: Stage, compiled: CompiledPlan, rows: Sequence[ImageRow]) -> tuple[Audit, Audit]:
    """Store the account beside the set: of this invocation, and of all runs of the plan. Returns both."""
    this_run = audit(stage, compiled, rows)
    all_runs = audit(stage, compiled, rows, whole_plan=True)
    account = {
        "set": stage.spec.name,
        "plan": compiled.document.id,
        "this_run": this_run.as_json(),
        "all_runs_of_this_plan": all_runs.as_json(),
    }
    text = json.dumps(account, indent=1, ensure_ascii=False)
    stage.store.files.write(AUDIT, text.encode(), durable=True)
    return this_run, all_runs


def measured_pace(entries: Sequence[Entry]) -> Pace | None:
    """Seconds an evaluation and a start-up, from the latest runs that measured them; None if none has."""
    measured = [e for e in entries if e.stage == "partition" and e.evaluations and e.seconds.get("denoise")]
    if not measured:
        return None
    latest = measured[-8:]
    return Pace(
        seconds_per_evaluation=sum(e.seconds["denoise"] for e in latest) / sum(e.evaluations for e in latest),
        startup_seconds=sum(e.seconds.get("startup", 0.0) for e in latest) / len(latest),
    )


def _planned(compiled: CompiledPlan) -> list[Work]:
    plan = compiled.plan
    return [
        Work(ids.chain(segment), int(plan.first[segment]), int(plan.last[segment]))
        for ids in compiled.ids
        for segment in range(len(plan.nodes))
    ]


def _unmade(compiled: CompiledPlan, rows: Sequence[ImageRow]) -> set[State]:
    """The states that only lead to images that do not exist."""
    partition_of = compiled.partition_of_text()
    made = {(row.prompt, row.image_index) for row in rows if row.status == "current"}
    if len(made) == len({(row.prompt, row.image_index) for row in rows}):
        return set()
    from hierflow.hashing import text_hash

    good = {(text_hash(prompt), index) for prompt, index in made}
    states: dict[bool, set[State]] = {True: set(), False: set()}
    for index, ids in enumerate(compiled.ids):
        for text in partition_of:
            found = states[(text, index) in good]
            for segment in compiled.plan.path(compiled.planted.leaf_of[text]):
                first, last = int(compiled.plan.first[segment]), int(compiled.plan.last[segment])
                found.update((ids.chain(segment), step) for step in range(first, last + 1))
    return states[False] - states[True]


def _seconds_saved(books: Books, seconds: dict[str, float]) -> float | None:
    if not books.executed or "denoise" not in seconds:
        return None
    pace = seconds["denoise"] / books.executed
    return round((books.standard - books.executed) * pace, 3)


def _names(entries: Sequence[Entry]) -> list[str]:
    return sorted({name for entry in entries for name in entry.seconds})


def _short(entry: Entry) -> dict[str, Any]:
    keys = ("run", "stage", "partition", "status", "started", "ended", "evaluations", "seconds", "error", "machine")
    return {key: getattr(entry, key) for key in keys}
