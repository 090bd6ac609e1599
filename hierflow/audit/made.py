"""What images took, by the states on their paths: of those that some runs made, and of those that are in the set.

The two answer different questions. What runs made is a flow: each image counts once, for the runs that were the first
to finish it, and all that they executed is charged; so the figures of runs can be summed. What is in the set is a
level: only images that are there, and all that was ever executed of the states on their paths, by whatever plan's
runs; what edits have replaced is not in it, so edits cannot raise it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hierflow.audit.books import State, states_of
from hierflow.audit.spending import cost_a_second
from hierflow.spec import CostSpec
from hierflow.store.ledger import MEASURED, Entry, Work

Path = Sequence[Work]
"""The runs of steps that lead to an image, from noise to its latents."""


@dataclass(frozen=True)
class Made:
    """Some images, and the evaluations they took.

    Attributes:
        images: how many; images that are decoded from the same latents are one.
        standard: evaluations without sharing.
        executed: evaluations with it, repeats included; a state that only measuring executed counts once, and one
            that the ledger does not list, as a killed run had no time to note it, does not count.
    """

    images: int
    standard: int
    executed: int

    @property
    def saved(self) -> int:
        """Evaluations that sharing saved; negative where more was repeated than shared."""
        return self.standard - self.executed


@dataclass(frozen=True)
class SetNow:
    """What the images in the set took, whichever plan's runs made them.

    Attributes:
        images, standard, executed: see :class:`Made`.
        seconds: of denoising, estimated: `executed` at the pace of the runs behind it; None if none is known.
        seconds_saved: of denoising, estimated at that pace: what sharing saved.
        cost, cost_saved: what these seconds cost, and would have; None where that is not known.
    """

    images: int
    standard: int
    executed: int
    seconds: float | None
    seconds_saved: float | None
    cost: float | None
    cost_saved: float | None


class Executions:
    """Which entries executed what for images: measuring is left out.

    Args:
        entries: the ledger, oldest first.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = [entry for entry in entries if entry.stage != MEASURED]
        self._measured = {state for entry in entries if entry.stage == MEASURED for state in states_of(entry.work)}
        self._times: Counter[State] = Counter()
        self._first: dict[State, Entry] = {}
        for entry in self._entries:
            for state in states_of(entry.work):
                self._times[state] += 1
                self._first.setdefault(state, entry)

    def made_by(self, is_own: Callable[[Entry], bool], paths: Sequence[Path]) -> Made:
        """The images among `paths` that the entries which `is_own` picks were the first to finish.

        All that these entries executed is charged to them, whatever became of it.
        """
        own = [path for path in paths if (first := self._first.get(_end(path))) and is_own(first)]
        found = {state for path in own for state in states_of(path)}
        executed = sum(entry.evaluations for entry in self._entries if is_own(entry))
        return Made(len(own), _standard(own), executed + len((found & self._measured) - self._times.keys()))

    def there(self, paths: Sequence[Path]) -> Made:
        """The images of all `paths`."""
        states = {state for path in paths for state in states_of(path)}
        return Made(len(paths), _standard(paths), sum(map(self._times_of, states)))

    def _times_of(self, state: State) -> int:
        """How often a state counts: 0 where no entry lists it, as what a killed run executed after its last note."""
        return self._times[state] or int(state in self._measured)

    def behind(self, paths: Sequence[Path]) -> list[Entry]:
        """The entries that executed something of these paths."""
        chains = {work.chain for path in paths for work in path}
        return [entry for entry in self._entries if any(work.chain in chains for work in entry.work)]


def set_now(made: Made, makers: Sequence[Entry], prices: CostSpec) -> SetNow:
    """What the images in the set took, at the pace and the cost of the entries that made them."""
    pace, price = pace_of(makers), cost_a_second(prices, makers)
    seconds = None if pace is None else made.executed * pace
    saved = None if pace is None else made.saved * pace
    return SetNow(
        images=made.images,
        standard=made.standard,
        executed=made.executed,
        seconds=rounded(seconds),
        seconds_saved=rounded(saved),
        cost=None if seconds is None or price is None else seconds * price,
        cost_saved=None if saved is None or price is None else saved * price,
    )


def pace_of(entries: Sequence[Entry]) -> float | None:
    """Seconds an evaluation, by those of `entries` that do not measure; None where none tells.

    Entries of killed runs that are older than the noting of seconds have evaluations without any, and tell nothing.
    """
    timed = [entry for entry in entries if entry.stage != MEASURED and entry.seconds.get("denoise")]
    evaluations = sum(entry.evaluations for entry in timed)
    return sum(entry.seconds["denoise"] for entry in timed) / evaluations if evaluations else None


def rounded(seconds: float | None) -> float | None:
    """To the millisecond."""
    return None if seconds is None else round(seconds, 3)


def _end(path: Path) -> State:
    return path[-1].chain, path[-1].last


def _standard(paths: Sequence[Path]) -> int:
    return sum(path[-1].last for path in paths)
