"""What was done last for the set as it stood: whether reports show what the store says now."""

from __future__ import annotations

from hierflow.hashing import digest
from hierflow.plan.compiled import CompiledPlan
from hierflow.spec import ScoringSpec
from hierflow.store import SetStore
from hierflow.store.sealed import read_json, write_json
from hierflow.store.storage import DamagedFileError

ASSEMBLED, ASSESSED, RETAINED = "assembled.json", "assessed.json", "retained.json"
"""The marks of manifest and gallery, of the quality report, and of the states that may go."""
QUALITY, QUALITY_PAGE = "quality.json", "quality.html"
"""The quality report: its figures, and its page."""


def state_of_records(store: SetStore, compiled: CompiledPlan) -> str:
    """A hash of the plan and of which run made each of its partitions; it moves whenever a manifest would."""
    records = (store.records.load(partition.slice) for partition in compiled.document.partitions)
    return digest("hierflow assembly 1", compiled.document.id, [record.run if record else "" for record in records])


def state_of_quality(store: SetStore, compiled: CompiledPlan, scoring: ScoringSpec) -> str:
    """A hash that moves whenever the quality of the set would have to be assessed again."""
    return digest("hierflow assessment 2", state_of_records(store, compiled), scoring.model_dump(mode="json"))


def mark(store: SetStore, which: str, state: str) -> None:
    """Note that what one of the marks above stands for was done for `state`, read before it was begun."""
    write_json(store.files, which, {"state": state})


def is_assessed(store: SetStore, compiled: CompiledPlan, scoring: ScoringSpec) -> bool:
    """Whether the quality report is there and of the set as it stands."""
    there = all(store.files.exists(path) for path in (QUALITY, QUALITY_PAGE))
    return there and is_marked(store, ASSESSED, state_of_quality(store, compiled, scoring))


def is_marked(store: SetStore, which: str, state: str) -> bool:
    """Whether that was done for `state`."""
    try:
        return bool(read_json(store.files, which)["state"] == state)
    except (FileNotFoundError, DamagedFileError):
        return False
