"""The books: executed = planned - reused - outstanding + replayed + redone + measured, or the audit fails.

Everything is counted in denoiser evaluations (one step of one node). What was executed comes from the hook on
the network, through the ledger; what was planned comes from the plan; neither knows of the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from hierflow.store.ledger import MEASURED, Entry, Work

State = tuple[str, int]
"""A state by its chain and step."""


@dataclass(frozen=True)
class Books:
    """What one invocation (a command, a job, a call) did for a plan.

    Attributes:
        standard: evaluations without sharing.
        planned: distinct states on the paths of the set's images.
        executed: evaluations this invocation made, by the hook on the network.
        reused: planned states that were there before.
        replayed: executed to get from a stored state to where a path goes on; they had been executed before.
        redone: executed again after a failure or a damaged file, or by two workers at once.
        measured: executed to measure something, for no image.
        outstanding: planned states that are still to be made, because something failed.
        unaccounted: an upper bound of what a killed run executed after its last note, all runs together.
        noted: evaluations by the ledger's lists of steps; the hook must agree.
        illegible: entries of killed runs that nobody can read, by their paths. What such a run executed is not known,
            and not in `unaccounted`.
        problems: why the books do not balance; empty if they do.
    """

    standard: int
    planned: int
    executed: int
    reused: int
    replayed: int
    redone: int
    measured: int
    outstanding: int
    unaccounted: int
    noted: int
    illegible: tuple[str, ...] = ()
    problems: tuple[str, ...] = field(default=())

    @property
    def balanced(self) -> bool:
        """Whether every figure follows from the others."""
        return not self.problems

    @property
    def saved(self) -> float:
        """1 - planned / standard: what sharing saves of the denoiser's work."""
        return 1.0 - self.planned / self.standard


def keep_books(
    standard: int,
    planned: Sequence[Work],
    entries: Sequence[Entry],
    is_own: Callable[[Entry], bool],
    unmade: Iterable[State] = (),
    unreadable: Sequence[str] = (),
    illegible: Sequence[str] = (),
) -> Books:
    """The books of the entries that `is_own` picks: one invocation's, or one plan's.

    Args:
        standard: evaluations without sharing.
        planned: every run of steps of the plan, all image indices.
        entries: the whole ledger, oldest first.
        is_own: whether an entry is part of what is audited.
        unmade: the states on the paths of images that do not exist.
        unreadable: ledger files that are damaged; books without them are not the whole truth.
        illegible: those of killed runs; they are told of, and the books balance without them.
    """
    own = [entry for entry in entries if is_own(entry)]
    tally, live = _Tally(), set(states_of(planned))
    for entry in entries:
        # What was measured counts as that, and whoever needs such a state afterwards finds it.
        (tally.add_own if is_own(entry) and entry.stage != MEASURED else tally.add_other)(entry)
    new = tally.made - tally.before
    outstanding = set(unmade) & live - tally.made - tally.before
    executed = sum(entry.evaluations for entry in own)
    noted = sum(work.last - work.first + 1 for entry in own for work in entry.work)
    books = Books(
        standard=standard,
        planned=len(live),
        executed=executed,
        reused=len(live) - len(new & live) - len(outstanding),
        replayed=tally.replayed,
        redone=tally.redone,
        measured=sum(entry.evaluations for entry in own if entry.stage == MEASURED),
        outstanding=len(outstanding),
        unaccounted=sum(entry.unaccounted for entry in entries),
        noted=noted,
        illegible=tuple(illegible),
    )
    problems = _problems(books, planned, len(new - live))
    if unreadable:
        problems.append(f"{len(unreadable)} ledger files are damaged and left out, such as {unreadable[0]}")
    return Books(**{**books.__dict__, "problems": tuple(problems)})


class _Tally:
    """What was executed, and why, entry by entry, oldest first.

    Attributes:
        made: states that the audited entries executed.
        before: states that others had executed before that.
        replayed, redone: the audited entries' executions of states that had been executed.
    """

    def __init__(self) -> None:
        self.made: set[State] = set()
        self.before: set[State] = set()
        self.replayed = self.redone = 0
        self._clean_since: dict[State, float] = {}

    def add_other(self, entry: Entry) -> None:
        states = set(states_of(entry.work))
        self.before |= states - self.made
        if entry.status == "done":
            for state in states:
                self._clean_since[state] = min(entry.ended, self._clean_since.get(state, math.inf))

    def add_own(self, entry: Entry) -> None:
        for state in states_of(entry.work):
            if state in self.made:
                self.redone += 1
            elif state in self.before:
                # Whoever was still at work when this entry began had nothing to start from: not a replay.
                was_there = self._clean_since.get(state, math.inf) <= entry.started
                is_replay = was_there and not entry.damaged
                self.replayed, self.redone = self.replayed + is_replay, self.redone + (not is_replay)
            self.made.add(state)


def _problems(books: Books, planned: Sequence[Work], astray: int) -> list[str]:
    problems = []
    if books.executed != books.noted:
        problems.append(f"the hook counted {books.executed} evaluations, the ledger lists {books.noted}")
    expected = books.planned - books.reused - books.outstanding + books.replayed + books.redone + books.measured
    if books.executed != expected + astray:
        problems.append(f"{books.executed} evaluations were executed where planned and reused make {expected}")
    if astray:
        problems.append(f"{astray} evaluations were executed for states that the plan does not hold")
    if (total := sum(work.last - work.first + 1 for work in planned)) != books.planned:
        problems.append(f"the plan counts {total} evaluations, but only {books.planned} distinct states")
    return problems


def states_of(work: Sequence[Work]) -> Iterable[State]:
    """The states that runs of steps make, each once a run."""
    return ((run.chain, step) for run in work for step in range(run.first, run.last + 1))
