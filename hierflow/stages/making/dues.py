"""Who pays for what was executed: each execution of a state is paid once, by the images it was executed for.

What nobody has paid yet of a state is shared equally by the images whose path leads through it and which are still to
be made, whichever run executed it and in whatever partition they lie. An image pays as it is recorded, and the ledger
says what has been paid of which step: so an image that comes later, or is made again, pays for no step a second time.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import groupby

import numpy as np
import numpy.typing as npt

from hierflow.audit.books import State, states_of
from hierflow.audit.shares import shares
from hierflow.plan.compiled import CompiledPlan
from hierflow.plan.lanes import Lane
from hierflow.store.ledger import MEASURED, Entry, Paid, Work

Int = npt.NDArray[np.int64]
Lacking = Callable[[Collection[str]], Mapping[Lane, Int]]
"""(N,) for every lane: how many images each leaf still lacks in some partitions, by their keys."""


class Dues:
    """What the images that a partition lacks have to pay, each as it is made.

    Args:
        compiled: the plan.
        entries: the ledger, once everything is executed that the images need.
        missing: (N,) for every lane, how many images each leaf lacks in the partition.
        elsewhere: how many they lack in other partitions; asked for those alone with which something is shared that
            has not been paid.

    Attributes:
        lent: what leads to these images and measuring alone has executed; nobody pays for it. What leads to nothing
            but images whose last state it has executed, too, is not in it: these it has made.
    """

    def __init__(
        self, compiled: CompiledPlan, entries: Sequence[Entry], missing: Mapping[Lane, Int], elsewhere: Lacking
    ) -> None:
        self._plan, paths = compiled.plan, _paths(compiled, missing)
        chains = {lane.ids.chain(segment) for lane, segments in paths.items() for segment in segments}
        self._unpaid = _unpaid(entries, chains)
        self.lent = _lent(compiled, entries, missing)
        self._due = {
            lane: {segment: due for segment in segments if (due := sum(self._steps(lane, segment).values()))}
            for lane, segments in paths.items()
        }
        self._lacking = {lane: images.copy() for lane, images in missing.items()}
        for lane, images in elsewhere(self._partitions(compiled, missing)).items():
            if lane in self._lacking:
                self._lacking[lane] += images
        self._of = {lane: shares(self._plan, due, self._lacking[lane]) for lane, due in self._due.items()}

    def of(self, lane: Lane, leaf: int) -> float:
        """The evaluations that one image of a prompt (leaf) pays."""
        return float(self._of[lane][leaf])

    def paid_by(self, images: Iterable[tuple[Lane, int]]) -> tuple[Paid, ...]:
        """What some images (lane and leaf of each) pay together, step by step."""
        payers: Counter[tuple[Lane, int]] = Counter()
        for lane, leaf in images:
            payers.update((lane, segment) for segment in self._plan.path(leaf) if segment in self._due[lane])
        found: list[Paid] = []
        for (lane, segment), count in payers.items():
            part = count / int(self._lacking[lane][self._plan.served(segment)].sum())
            found += _runs(lane.ids.chain(segment), self._steps(lane, segment), part)
        return tuple(found)

    def _steps(self, lane: Lane, segment: int) -> dict[int, float]:
        """What is unpaid of a segment, by the step."""
        chain, first, last = lane.ids.chain(segment), int(self._plan.first[segment]), int(self._plan.last[segment])
        return {step: self._unpaid[chain, step] for step in range(first, last + 1) if (chain, step) in self._unpaid}

    def _partitions(self, compiled: CompiledPlan, missing: Mapping[Lane, Int]) -> set[str]:
        """The keys of the partitions whose prompts lie under what is unpaid, without those in `missing`."""
        under = {
            leaf for due in self._due.values() for segment in due for leaf in self._plan.served(segment).tolist()
        }
        own = {int(compiled.node_owner[leaf]) for images in missing.values() for leaf in np.flatnonzero(images)}
        return {compiled.document.keys[place] for place in {int(compiled.node_owner[leaf]) for leaf in under} - own}


def _paths(compiled: CompiledPlan, missing: Mapping[Lane, Int]) -> dict[Lane, list[int]]:
    """The segments that lead to the missing images."""
    plan = compiled.plan
    return {
        lane: sorted({segment for leaf in np.flatnonzero(images) for segment in plan.path(int(leaf))})
        for lane, images in missing.items()
    }


def _unpaid(entries: Sequence[Entry], chains: Collection[str]) -> dict[State, float]:
    """Executions of the states of some chains that no image has paid, measuring aside."""
    found: dict[State, float] = defaultdict(float)
    for entry in entries:
        if entry.stage == MEASURED or entry.paid is None:  # None: older than this account of who has paid
            continue
        for chain, first, last in entry.work:
            if chain in chains:
                for step in range(first, last + 1):
                    found[chain, step] += 1.0
        for chain, first, last, evaluations in entry.paid:
            if chain in chains:
                for step in range(first, last + 1):
                    found[chain, step] -= evaluations
    return {state: left for state, left in found.items() if left > _ROUNDING}


def _lent(compiled: CompiledPlan, entries: Sequence[Entry], missing: Mapping[Lane, Int]) -> tuple[Work, ...]:
    plan, own = compiled.plan, list[list[Work]]()
    for lane, images in missing.items():
        for leaf in np.flatnonzero(images):
            segments = plan.path(int(leaf))
            own.append([Work(lane.ids.chain(on), int(plan.first[on]), int(plan.last[on])) for on in segments])
    alone = _measured_alone(entries, {run.chain for path in own for run in path})
    lent: dict[str, dict[int, float]] = defaultdict(dict)
    for path in own if alone else ():
        if (path[-1].chain, path[-1].last) not in alone:
            for chain, step in alone.intersection(states_of(path)):
                lent[chain][step] = 1.0
    return tuple(Work(*run[:3]) for chain in sorted(lent) for run in _runs(chain, lent[chain], 1.0))


def _measured_alone(entries: Sequence[Entry], chains: Collection[str]) -> set[State]:
    """The states of some chains that measuring has executed and nothing else."""
    found: tuple[set[State], set[State]] = set(), set()
    for entry in entries:
        found[entry.stage == MEASURED].update(states_of([run for run in entry.work if run.chain in chains]))
    made, measured = found
    return measured - made


_ROUNDING = 1e-9
"""What is left of a step where shares that should add up to it do so but for rounding."""


def _runs(chain: str, unpaid: Mapping[int, float], part: float) -> list[Paid]:
    """`part` of what is unpaid of each step, steps of equal amounts together; they follow each other or are apart."""
    found = []
    numbered = enumerate(sorted(unpaid))
    for (_, due), run in groupby(numbered, key=lambda at: (at[1] - at[0], unpaid[at[1]])):
        steps = [step for _, step in run]
        found.append(Paid(chain, steps[0], steps[-1], due * part))
    return found
