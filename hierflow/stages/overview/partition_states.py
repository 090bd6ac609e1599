"""What each partition of the current plan is like: made, out of date, not made, failed, or waiting."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hierflow.images import ImageRow
from hierflow.plan.compiled import CompiledPlan
from hierflow.stages.context import Stage
from hierflow.stages.making.todo import ATTEMPTS, todo
from hierflow.store.ledger import Entry

Condition = Literal["fresh", "stale", "missing", "failed", "waiting"]
SHOWN = 5
"""Prompts told of a partition; the rest is counted."""


@dataclass(frozen=True)
class PartitionState:
    """One partition.

    Attributes:
        key: its key.
        condition: `fresh`, every image is what the plan says; `stale`, some are of an earlier plan, or lost;
            `missing`, there is none; `failed`, the last run of this plan could not make them all; `waiting`, two runs
            of this plan could not, and the sensor does not try again.
        prompts: the texts of the prompts whose image is to be made, in the order of the set; none where only the
            record is out of date, as after a prompt was removed.
        cause: why it is so, in a sentence; empty if it is fresh.
        goes_on: what makes it go on; empty if it is fresh.
    """

    key: str
    condition: Condition
    prompts: tuple[str, ...] = ()
    cause: str = ""
    goes_on: str = ""

    def as_json(self) -> dict[str, Any]:
        """For `hierflow status --json`."""
        return {
            "partition": self.key,
            "state": self.condition,
            "prompts": len(self.prompts),
            "such_as": list(self.prompts[:SHOWN]),
            "cause": self.cause,
            "goes_on": self.goes_on,
        }


def partition_states(
    stage: Stage, compiled: CompiledPlan, rows: Sequence[ImageRow], entries: Sequence[Entry]
) -> list[PartitionState]:
    """The state of every partition, in the plan's order, by the store and the ledger.

    Args:
        stage: the set.
        compiled: its current plan.
        rows: its images, as :func:`hierflow.stages.reports.image_set.assembled` finds them.
        entries: the ledger's.
    """
    by_partition: dict[str, list[ImageRow]] = defaultdict(list)
    for row in rows:
        by_partition[row.partition].append(row)
    left = set(todo(stage.store, compiled))
    return [
        _state(stage, compiled, key, by_partition[key], failures(entries, compiled.document.id, key))
        if key in left
        else PartitionState(key, "fresh")
        for key in compiled.document.keys
    ]


def condition_counts(states: Sequence[PartitionState]) -> dict[Condition, int]:
    """How many partitions are in each condition, those that occur."""
    order: tuple[Condition, ...] = ("fresh", "stale", "missing", "failed", "waiting")
    counts = {name: sum(state.condition == name for state in states) for name in order}
    return {name: count for name, count in counts.items() if count}


def failures(entries: Sequence[Entry], plan: str, key: str) -> list[Entry]:
    """The runs of a plan that failed on a partition since one succeeded, the last entry of each, oldest first."""
    found: dict[str, Entry] = {}
    for entry in entries:
        if (entry.stage, entry.plan, entry.partition) != ("partition", plan, key):
            continue
        if entry.status == "done":
            found.clear()
        elif entry.status == "failed":
            found[entry.run] = entry
    return list(found.values())


def _state(
    stage: Stage, compiled: CompiledPlan, key: str, rows: Sequence[ImageRow], failed: Sequence[Entry]
) -> PartitionState:
    """The state of a partition that is to be run."""
    unmade, name = [row for row in rows if row.status != "current"], stage.spec.name
    if failed:
        prompts = _failed_prompts(stage, compiled, key) or _texts(unmade)
        if len(failed) >= ATTEMPTS:
            asks = f"a change of document or prompts, `hierflow run`, or the job {name} in Dagster"
            return PartitionState(key, "waiting", prompts, failed[-1].error, asks)
        return PartitionState(key, "failed", prompts, failed[-1].error, "the next run tries it again")
    if not any(row.image_path for row in rows):
        return PartitionState(key, "missing", _texts(unmade), "it has not been made", "the next run makes it")
    cause = "these images are new, changed or lost" if unmade else "its images are there, its record is not"
    if unmade and all(row.status == "pending" for row in unmade):
        cause = f"{len(unmade)} of {len(rows)} images are still to be made"
    return PartitionState(key, "stale", _texts(unmade), cause, "the next run makes them")


def _failed_prompts(stage: Stage, compiled: CompiledPlan, key: str) -> tuple[str, ...]:
    """The prompts that failed by themselves, by the partition's record."""
    record = stage.store.records.load(compiled.document.partition(key).slice)
    if record is None:
        return ()
    prompts = stage.store.prompts.load(compiled.document.prompts)
    text_of = dict(zip(prompts.hashes, prompts.distinct, strict=True))
    return tuple(dict.fromkeys(text_of[image.text] for image in record.images if image.error))


def _texts(rows: Sequence[ImageRow]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(row.prompt for row in rows))
