"""What was done last for the set as it stood: whether reports show what the store says now."""

from __future__ import annotations

from hierflow.hashing import digest
from hierflow.plan.compiled import CompiledPlan
from hierflow.spec import ScoringSpec
from hierflow.store import SetStore
from hierflow.store.records import Records
from hierflow.store.sealed import read_json, write_json
from hierflow.store.storage import DamagedFileError

ASSEMBLED, ASSESSED, RETAINED = "assembled.json", "assessed.json", "retained.json"
"""The marks of manifest and gallery, of the quality report, and of the states that may go."""
QUALITY, QUALITY_PAGE = "quality.json", "quality.html"
"""The quality report: its figures, and its page."""
AUDIT, AUDIT_PAGE = "audit.json", "audit.html"
"""The audit, likewise."""


def state_of_records(compiled: CompiledPlan, records: Records) -> str:
    """A hash of the plan and of which run made each of its partitions; it moves whenever a manifest would."""
    found = (records.get(partition.slice) for partition in compiled.document.partitions)
    return digest("hierflow assembly 1", compiled.document.id, [record.run if record else "" for record in found])


def state_of_quality(compiled: CompiledPlan, records: Records, scoring: ScoringSpec) -> str:
    """A hash that moves whenever the quality of the set would have to be assessed again."""
    return digest("hierflow assessment 2", state_of_records(compiled, records), scoring.model_dump(mode="json"))


def mark(store: SetStore, which: str, state: str) -> None:
    """Note that what one of the marks above stands for was done for `state`, read before it was begun."""
    write_json(store.files, which, {"state": state})


def is_assessed(
    store: SetStore, compiled: CompiledPlan, scoring: ScoringSpec, records: Records | None = None
) -> bool:
    """Whether the quality report is there and of the set as it stands; `records` as they are now, or as given."""
    if not all(store.files.exists(path) for path in (QUALITY, QUALITY_PAGE)):
        return False
    records = store.records_of(compiled) if records is None else records
    return is_marked(store, ASSESSED, state_of_quality(compiled, records, scoring))


def is_marked(store: SetStore, which: str, state: str) -> bool:
    """Whether that was done for `state`."""
    try:
        return bool(read_json(store.files, which)["state"] == state)
    except (FileNotFoundError, DamagedFileError):
        return False
