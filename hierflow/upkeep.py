"""What a set needs Dagster's records for outside a run: whether anything is at work on it, and deleting what it does
not need any more."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hierflow.assets.rest import at_work
from hierflow.assets.served_set import ServedSet
from hierflow.errors import RunError
from hierflow.launch import home_of, instance_at
from hierflow.stages.context import Stage
from hierflow.stages.keeping.pruning import Waste, find_waste, remove
from hierflow.store.plans import LostPlanError


@dataclass(frozen=True)
class Pruning:
    """What :func:`prune` found.

    Attributes:
        name: the set's.
        waste: the files.
        keys: the partition keys of earlier trees that Dagster still lists.
        deleted: whether all that is gone now.
    """

    name: str
    waste: Waste
    keys: tuple[str, ...]
    deleted: bool

    def as_json(self) -> dict[str, Any]:
        """For `hierflow prune --json`."""
        kinds = {
            kind: {"files": len(files), "bytes": sum(files.values())} for kind, files in self.waste.files.items()
        }
        return {
            "name": self.name,
            "deleted": self.deleted,
            "kinds": kinds,
            "files": sum(kind["files"] for kind in kinds.values()),
            "bytes": sum(kind["bytes"] for kind in kinds.values()),
            "partition_keys": list(self.keys),
        }


def busy(stage: Stage, document: Path) -> str | None:
    """What is at work on a set, such as `run 1a2b3c4d (trial_subtrees)`; None where Dagster's records know of
    nothing.

    Where there are no records, or they cannot be opened for want of the right to write beside them, none are made.
    """
    home = home_of(document)
    if not ((home / "dagster.yaml").is_file() or (home / "history").is_dir()) or not os.access(home, os.W_OK):
        return None
    served = ServedSet(stage.spec, document.parent, document)
    try:
        pointer = stage.store.plans.pointer()
    except LostPlanError:  # which request was the last nobody knows; runs that are at work are seen without it
        pointer = None
    with instance_at(home) as instance:
        return at_work(instance, served, pointer)


def prune(stage: Stage, document: Path, *, delete: bool) -> Pruning:
    """Find what nothing live needs, and delete it if asked to.

    Args:
        stage: the set.
        document: the file that describes it.
        delete: whether to delete; else nothing is written.

    Raises:
        InputError: the set has never been run.
        RunError: a run of the set is active; nothing has been deleted.
    """
    served, home = ServedSet(stage.spec, document.parent, document), home_of(document)
    with ExitStack() as stack:
        instance = stack.enter_context(instance_at(home)) if home.is_dir() else None
        if instance and (busy := at_work(instance, served, stage.store.plans.pointer())):
            raise RunError(f"{busy} is at work on the image set {stage.spec.name}; prune it once that has ended")
        waste = find_waste(stage)
        listed = instance.get_dynamic_partitions(served.names.partitions) if instance else []
        keys = tuple(key for key in waste.keys if key in listed)
        if delete:
            remove(stage, waste)
            if instance:
                for key in keys:
                    instance.delete_dynamic_partition(served.names.partitions, key)
    return Pruning(stage.spec.name, waste, keys, delete)
