"""From a plan and what is stored to the steps that must be executed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hierflow.denoise.sampler_state import SamplerState
from hierflow.plan.lanes import Lane
from hierflow.store.ledger import Work

Load = Callable[[str], SamplerState | None]
Has = Callable[[str], bool]


@dataclass(eq=False)
class Stretch:
    """Consecutive steps of one segment that must be executed, in one lane.

    Attributes:
        segment, lane: whose steps.
        first, last: which steps, 1-based and inclusive.
        source: the stretch whose last state it continues, a stored state, or None to start from noise.
        keep: the id of the state to store, by step.
    """

    segment: int
    lane: Lane
    first: int
    last: int
    source: Stretch | SamplerState | None
    keep: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.last - self.first + 1


def plan_work(
    terminals: Mapping[Lane, Iterable[int]],
    *,
    has: Has,
    load: Load | None = None,
    checkpoint_every: int = 0,
) -> list[Stretch]:
    """The stretches that lead to the last states of some segments, parents before children.

    Every path is walked back to its latest stored state that is intact; nothing is planned for what is stored
    already. A segment above the asked-for slice is planned too if its state has been lost.

    Args:
        terminals: the segments whose last states are wanted, by the lane.
        has: whether a state is stored.
        load: a stored state, None if it turns out to be damaged. Without it none is opened: all that is stored counts
            as intact, and a stretch that continues it has no source. Such stretches are counted, not executed.
        checkpoint_every: keep the states of every so many steps, besides the last of every segment; 0 for none.
    """
    stretches: list[Stretch] = []
    for lane, segments in terminals.items():
        planner = _Planner(lane, has, load, checkpoint_every, stretches)
        for segment in segments:
            planner.reach(int(segment))
    return stretches


def ledger_work(stretches: Sequence[Stretch]) -> tuple[Work, ...]:
    """The stretches as the ledger books them."""
    return tuple(Work(stretch.lane.ids.chain(stretch.segment), stretch.first, stretch.last) for stretch in stretches)


@dataclass
class _Planner:
    """Plans the work of one lane."""

    lane: Lane
    has: Has
    load: Load | None
    checkpoint_every: int
    stretches: list[Stretch]
    reached: dict[int, Stretch | SamplerState | None] = field(default_factory=dict)

    def reach(self, segment: int) -> Stretch | SamplerState | None:
        """Plan what leads to the last state of `segment`; returns where that state will be found."""
        path = []  # from `segment` up to the first ancestor that is settled; loops, as paths can be deep
        while segment >= 0 and segment not in self.reached:
            path.append(segment)
            if self._settle_from_store(segment):
                break
            segment = int(self.lane.plan.parent[segment])
        end = self.reached.get(segment)
        for below in reversed(path):
            if below not in self.reached:
                self._add(below, int(self.lane.plan.first[below]), end)
            end = self.reached[below]
        return end

    def _settle_from_store(self, segment: int) -> bool:
        """Start `segment` from the latest of its own states that is stored, if there is one."""
        plan, ids = self.lane.plan, self.lane.ids
        first, last = int(plan.first[segment]), int(plan.last[segment])
        for step in range(last, first - 1, -1):
            if not self.has(ids.at(segment, step)):
                continue
            state = self.load(ids.at(segment, step)) if self.load else None
            if self.load and state is None:
                continue
            if step == last:
                self.reached[segment] = state
            else:
                self._add(segment, step + 1, state)
            return True
        return False

    def _add(self, segment: int, first: int, source: Stretch | SamplerState | None) -> None:
        last = int(self.lane.plan.last[segment])
        every = self.checkpoint_every
        kept = {step for step in range(first, last + 1) if every and step % every == 0} | {last}
        keep = {step: self.lane.ids.at(segment, step) for step in sorted(kept)}
        stretch = Stretch(segment, self.lane, first, last, source, keep)
        self.reached[segment] = stretch
        self.stretches.append(stretch)
