"""Whether manifest and gallery show what the records say now."""

from __future__ import annotations

from hierflow.hashing import digest
from hierflow.plan.compiled import CompiledPlan
from hierflow.store import SetStore
from hierflow.store.sealed import read_json, write_json
from hierflow.store.storage import DamagedFileError

_MARK = "assembled.json"


def state_of_records(store: SetStore, compiled: CompiledPlan) -> str:
    """A hash of the plan and of which run made each of its partitions; it moves whenever a manifest would."""
    records = (store.records.load(partition.slice) for partition in compiled.document.partitions)
    return digest("hierflow assembly 1", compiled.document.id, [record.run if record else "" for record in records])


def mark_assembled(store: SetStore, state: str) -> None:
    """Note that manifest and gallery show `state`, read before they were assembled."""
    write_json(store.files, _MARK, {"state": state})


def is_assembled(store: SetStore, state: str) -> bool:
    """Whether manifest and gallery show `state`."""
    try:
        return bool(read_json(store.files, _MARK)["state"] == state)
    except (FileNotFoundError, DamagedFileError):
        return False
