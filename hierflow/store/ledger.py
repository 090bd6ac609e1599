"""The ledger: what every run executed. Books are made from it, never from what a run meant to do.

A run opens an entry with the work it is about to do, notes its progress once a level, and closes the entry as
one immutable file. An entry that was never closed belongs to a run that was killed: its last noted level
counts, and what may have run after it is bounded by one level's evaluations.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain, count
from typing import Any, NamedTuple

from hierflow.store.sealed import read_all_json, read_json, write_json
from hierflow.store.storage import DamagedFileError, Storage

_PROGRESS = ".progress.json"
MEASURED = "baselines"
"""The stage whose evaluations make no image of the set, but tell what its images are worth."""


class Work(NamedTuple):
    """A run of steps of one node: its chain (see `StateIds.chain`), first and last step, inclusive."""

    chain: str
    first: int
    last: int


class Paid(NamedTuple):
    """What images have paid of a run of steps: so many evaluations of each of them."""

    chain: str
    first: int
    last: int
    evaluations: float


@dataclass(frozen=True)
class Entry:
    """What one run did for one stage.

    Attributes:
        run: the run (a Dagster run id, or one made up outside Dagster).
        invocation: the command, job or call that the run belongs to.
        stage: "embeddings", "trunk", "partition" or :data:`MEASURED`.
        partition: the partition key; empty for other stages.
        plan: the plan's id; empty before there is one.
        slice: what was asked for; empty for other stages.
        status: "done", "failed" or, for a run that was killed, "lost".
        started, ended: seconds since the epoch.
        work: what was executed, level by level as far as it went.
        evaluations: denoiser evaluations by the hook on the network, padding taken off.
        network_rows, network_calls, padding_rows: what the network saw.
        unaccounted: for a lost entry, how many evaluations may have run unnoted.
        prior_evaluations: sampler steps of the prior, one a prompt and step, counted apart.
        seconds: wall seconds by what they went on ("load", "encode", "denoise", "decode", "score").
        damaged: stored files found damaged and made again.
        machine: device and library versions.
        error: why it failed.
        device: what the networks ran on, such as "cpu" or "cuda:1"; empty in entries that are older than this field.
        gpu_seconds: wall seconds for which it held an accelerator, from loading to scoring; 0 on a CPU.
        kwh: what the accelerator's card has used in that time; None where it does not say.
        energy_note: why it does not say.
        standard, planned: evaluations of the plan without and with sharing; 0 before there is one.
        largest_batch: the most nodes that a call of the network took at the end, lowered where memory had run out; 0
            where nothing was denoised.
        pace: names what an evaluation's time depends on; paces are compared within one name only.
        paid: what the images that it recorded have paid of what it and entries before it executed, see
            :mod:`hierflow.stages.making.dues`; None in entries that are older than this field.
        steps: denoising steps of an image of the plan; 0 before there is one, and in entries older than this field.
        lent: what leads to the images it made and measuring alone has executed.
    """

    run: str
    invocation: str
    stage: str
    partition: str = ""
    plan: str = ""
    slice: str = ""
    status: str = "done"
    started: float = 0.0
    ended: float = 0.0
    work: tuple[Work, ...] = ()
    evaluations: int = 0
    network_rows: int = 0
    network_calls: int = 0
    padding_rows: int = 0
    unaccounted: int = 0
    prior_evaluations: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)
    damaged: tuple[str, ...] = ()
    machine: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    device: str = ""
    gpu_seconds: float = 0.0
    kwh: float | None = None
    energy_note: str = ""
    standard: int = 0
    planned: int = 0
    pace: str = ""
    largest_batch: int = 0
    paid: tuple[Paid, ...] | None = None
    steps: int = 0
    lent: tuple[Work, ...] = ()


class Ledger:
    """The ledger of one image set.

    Attributes:
        damaged: files of closed entries that were found torn or altered since this object was made. What they told is
            lost: the states they listed count as never executed.
        illegible: the same of entries that were never closed. They would have been of lost runs, whose account has a
            gap in any case; here nobody can say how large it is.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.damaged: set[str] = set()
        self.illegible: set[str] = set()

    def open(self, entry: Entry, name: str) -> OpenEntry:
        """Begin an entry whose `work` is what the run is about to do.

        `name` is fit for a file name; where an entry has it already (a run's second attempt), a number follows.
        """
        unused = next(n for n in _numbered(name) if not self._has(n))
        write_json(self._storage, _open(unused), _plain(entry))
        return OpenEntry(self._storage, entry, unused)

    def entries(self) -> list[Entry]:
        """Every intact entry, oldest first; entries that were never closed are "lost"."""
        begun = self._storage.list("ledger/open")  # first: what is closed meanwhile is then seen as closed
        found = self._read(self._storage.list("ledger/closed"))
        for path in begun:
            if path.endswith(_PROGRESS) or (name := _name(path)) in found:
                continue
            try:
                found[name] = self._lost(name, _entry(read_json(self._storage, path)))
            except FileNotFoundError:  # closed just now
                found |= self._read([_closed(name)])
            except DamagedFileError:
                self.illegible.add(path)
        entries = [entry for entry in found.values() if entry]
        return sorted(entries, key=lambda entry: (entry.started, entry.run, entry.partition))

    def plans(self) -> list[str]:
        """The ids of the plans that anything was made for, the one worked on last first."""
        return list(dict.fromkeys(entry.plan for entry in reversed(self.entries()) if entry.plan))

    def _has(self, name: str) -> bool:
        return self._storage.exists(_open(name)) or self._storage.exists(_closed(name))

    def _read(self, closed: Sequence[str]) -> dict[str, Entry | None]:
        """The entries in some files by their names; None where one is damaged."""
        found: dict[str, Entry | None] = {}
        for path, stored in read_all_json(self._storage, closed):
            if stored is None:
                self.damaged.add(path)
            found[_name(path)] = None if stored is None else _entry(stored)
        return found

    def _lost(self, name: str, begun: Entry) -> Entry:
        try:
            noted = read_json(self._storage, _progress(name))
        except (FileNotFoundError, DamagedFileError):
            noted = {"level": 0, "ended": begun.started}
        level = noted.pop("level")
        work, bound = clipped(begun.work, level), _next_frontier(begun.work, level)
        return _typed({**_fields(begun), **noted, "status": "lost", "work": work, "unaccounted": bound})


class OpenEntry:
    """An entry that is being written. Nothing is lost but the level in flight, whenever the process dies."""

    def __init__(self, storage: Storage, entry: Entry, name: str) -> None:
        self._storage, self._entry, self._name = storage, entry, name
        self._level = 0

    def note(self, level: int | None = None, **counts: Any) -> None:
        """Every node's step `level` (1-based) has been executed; `counts` are the totals so far, fields of Entry.

        Without a level nothing further has been executed.
        """
        self._level = self._level if level is None else level
        noted = {"level": self._level, "ended": time.time(), **counts}
        write_json(self._storage, _progress(self._name), noted, durable=False)

    def close(self, status: str, **fields: Any) -> Entry:
        """Make the entry immutable, with `fields` of Entry set; a failed entry keeps the levels that were noted."""
        work = self._entry.work if status == "done" else clipped(self._entry.work, self._level)
        entry = Entry(**{**_fields(self._entry), "work": work, **fields, "status": status, "ended": time.time()})
        write_json(self._storage, _closed(self._name), _plain(entry))
        self._storage.delete(_open(self._name))
        self._storage.delete(_progress(self._name))
        return entry


def began(entries: Sequence[Entry]) -> dict[str, float]:
    """When every run began, in seconds since the epoch: its first entry did."""
    found: dict[str, float] = {}
    for entry in entries:
        found[entry.run] = min(entry.started, found.get(entry.run, entry.started))
    return found


def clipped(work: Sequence[Work], level: int) -> tuple[Work, ...]:
    """The part of `work` up to and with step `level`."""
    return tuple(Work(w.chain, w.first, min(w.last, level)) for w in work if w.first <= level)


def _next_frontier(work: Sequence[Work], level: int) -> int:
    """How many nodes the next step after `level` that has any is executed for."""
    step = min((max(w.first, level + 1) for w in work if w.last > level), default=0)
    return sum(w.first <= step <= w.last for w in work)


def _numbered(name: str) -> Iterator[str]:
    return chain([name], (f"{name}.{attempt}" for attempt in count(2)))


def _open(name: str) -> str:
    return f"ledger/open/{name}.json"


def _progress(name: str) -> str:
    return f"ledger/open/{name}{_PROGRESS}"


def _closed(name: str) -> str:
    return f"ledger/closed/{name}.json"


def _name(path: str) -> str:
    return path.rsplit("/", 1)[1].removesuffix(".json")


def _fields(entry: Entry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in Entry.__dataclass_fields__}


def _plain(entry: Entry) -> dict[str, Any]:
    paid = None if entry.paid is None else [list(paid) for paid in entry.paid]
    work, lent = ([list(run) for run in runs] for runs in (entry.work, entry.lent))
    return {**asdict(entry), "work": work, "lent": lent, "paid": paid}


def _entry(stored: dict[str, Any]) -> Entry:
    return _typed({**stored, "damaged": tuple(stored["damaged"])})


def _typed(fields: dict[str, Any]) -> Entry:
    """The entry of such fields, in which JSON has made lists of tuples."""
    work, lent = (tuple(Work(*item) for item in fields.get(name, ())) for name in ("work", "lent"))
    paid = fields.get("paid")
    paid = None if paid is None else tuple(Paid(*item) for item in paid)
    return Entry(**{**fields, "work": work, "lent": lent, "paid": paid})
