"""Plan to latents: executing a slice of the plan, and booking what it took."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from hierflow.denoise.batched_prediction import BatchedPrediction
from hierflow.denoise.frontier import Frontier
from hierflow.denoise.sampler_state import SamplerState
from hierflow.denoise.work import Stretch, ledger_work, plan_work
from hierflow.models.power import Hold
from hierflow.plan.compiled import CompiledPlan
from hierflow.plan.document import PlanDocument
from hierflow.plan.lanes import Lane
from hierflow.plan.partitions import TRUNK
from hierflow.prompts import PromptSet
from hierflow.stages.agreement import check_model
from hierflow.stages.batch_size import batches_of
from hierflow.stages.context import Stage, Stopwatch
from hierflow.stages.node_conditioning import node_conditioning
from hierflow.stages.wanted import by_lane, unmade
from hierflow.store.ledger import MEASURED, Entry, OpenEntry, Paid

if TYPE_CHECKING:
    import torch

_UNPARTITIONED = {"trunk": "the trunk", MEASURED: "baselines"}


@dataclass
class Denoised:
    """What a slice's denoising left.

    Attributes:
        states: the latents of the wanted states, by id, (1, ...) each, as far as they were made just now.
        executed: evaluations by the hook on the network.
        stretches: what was executed.
        watch: the time it took; later stages go on with it.
        pay: notes in the ledger entry what images have paid, once they are recorded.
        close: closes the ledger entry.
    """

    executed: int
    stretches: Sequence[Stretch]
    watch: Stopwatch
    pay: Callable[[Sequence[Paid]], None]
    close: Callable[..., Entry]
    states: dict[str, torch.Tensor] = field(default_factory=dict)


def denoise_trunk(stage: Stage, compiled: CompiledPlan, prompts: PromptSet, keys: Collection[str]) -> int:
    """Execute the steps above the partition cut that the images which the partitions `keys` lack start from.

    Returns:
        The evaluations executed, 0 if everything was stored or nothing is shared above the cut.

    Raises:
        RunError: the plan was made for another model.
    """
    check_model(stage, compiled)
    stretches = _work(stage, _trunk_ends(stage, compiled, by_lane(unmade(stage, compiled, prompts, keys))))
    if not stretches:
        return 0
    done = _execute(stage, compiled, stretches, "trunk", "", "", frozenset(), compiled.document)
    done.close("done")
    return done.executed


def denoise_partition(
    stage: Stage, compiled: CompiledPlan, key: str, leaves: Mapping[Lane, Iterable[int]]
) -> Denoised:
    """Execute what leads to the final states of prompts of partition `key`: leaves by their lane.

    The ledger entry stays open, for decoding and scoring belong to the same run; the caller closes it.
    """
    terminals = compiled.terminals(leaves)
    stretches = _work(stage, terminals)
    wanted = frozenset(lane.ids.end(segment) for lane, own in terminals.items() for segment in own)
    slice_ = compiled.document.partition(key).slice
    return _execute(stage, compiled, stretches, "partition", key, slice_, wanted, compiled.document)


def denoise_baselines(
    stage: Stage, of: CompiledPlan | None, arm: CompiledPlan, leaves: Mapping[Lane, Iterable[int]]
) -> Denoised:
    """Execute what leads to the final states of an arm's prompts: leaves by their lane.

    The work is booked as measured: for the set's plan `of`, or before there is one. The ledger entry stays open, as
    after :func:`denoise_partition`.
    """
    terminals = arm.terminals(leaves)
    stretches = _work(stage, terminals)
    wanted = frozenset(lane.ids.end(segment) for lane, own in terminals.items() for segment in own)
    return _execute(stage, arm, stretches, MEASURED, "", "", wanted, of.document if of else None)


def _trunk_ends(stage: Stage, compiled: CompiledPlan, leaves: Mapping[Lane, Iterable[int]]) -> dict[Lane, list[int]]:
    """The trunk's segments whose last states are wanted for the final states of prompts (leaves), by the lane.

    No state is opened: whoever finds one damaged below the trunk makes what it takes itself.
    """
    states, found = stage.store.states, defaultdict[Lane, list[int]](list)
    states.refresh()
    for stretch in plan_work(compiled.terminals(leaves), has=states.__contains__):
        if compiled.segment_owner[stretch.segment] == TRUNK:
            found[stretch.lane].append(stretch.segment)
    return dict(found)


def _work(stage: Stage, terminals: Mapping[Lane, Iterable[int]]) -> list[Stretch]:
    states, device = stage.store.states, stage.adapter.runtime.device
    states.refresh()

    def load(state: str) -> SamplerState | None:
        found = states.load(state)
        return found and SamplerState.stored(*found, device)

    return plan_work(
        terminals,
        has=states.__contains__,
        load=load,
        checkpoint_every=stage.spec.sharing.checkpoint_every,
    )


def _execute(
    stage: Stage,
    compiled: CompiledPlan,
    stretches: Sequence[Stretch],
    kind: str,
    key: str,
    slice_: str,
    wanted: frozenset[str],
    of: PlanDocument | None,
) -> Denoised:
    """Execute stretches of `compiled`, on the account of the plan `of`, if there is one yet."""
    work, hold = ledger_work(stretches), Hold(stage.adapter.runtime.device)
    entry = stage.open_entry(
        kind,
        partition=key,
        plan=of.id if of else "",
        slice=slice_,
        work=work,
        standard=of.standard if of else 0,
        planned=of.planned if of else 0,
        pace=stage.pace,
    )
    # Damaged states are listed now: once made again they are whole again.
    booking = _Booking(entry, hold, damaged=tuple(sorted(stage.store.states.damaged)))
    done = Denoised(0, stretches, booking.watch, booking.pay, booking.close)
    if not stretches:
        return done

    def keep(state_id: str, state: SamplerState) -> None:
        if bool(state.latents.isfinite().all()):  # else a later run would start from what has failed already
            stage.store.states.save(state_id, state.tensors(), state.meta())
        if state_id in wanted:
            done.states[state_id] = state.latents

    def on_level(step: int, nodes: int) -> None:
        booking.note(step)
        progress.advance(nodes)

    try:
        conditioning = node_conditioning(stage, compiled, stretches, on_encoded=booking.restart)
        network = stage.adapter.network
        booking.watch.lap("load")
        booking.watch.seconds["startup"] = time.time() - stage.began
        progress = stage.progress(f"denoising {key or _UNPARTITIONED[kind]}", sum(map(len, stretches)))
        frontier = Frontier(
            stage.adapter,
            conditioning=conditioning,
            representative=_representatives(compiled),
            keep=keep,
            on_level=on_level,
            batches=batches_of(stage),
        )
        booking.prediction = frontier.prediction
        hook = frontier.prediction.meter.attach(network)
        try:
            frontier.run(stretches)
        finally:
            hook.remove()
            progress.close()
    except BaseException as error:
        booking.watch.lap("denoise" if booking.prediction else "load")
        booking.close("failed", error=f"{type(error).__name__}: {error}")
        raise
    booking.watch.lap("denoise")
    done.executed = frontier.prediction.evaluations
    return done


@dataclass
class _Booking:
    """Books a slice's denoising in its ledger entry.

    Of a level that broke off nothing counts as executed; how much of it the hook saw is booked as unaccounted for.
    """

    entry: OpenEntry
    hold: Hold
    damaged: tuple[str, ...]
    watch: Stopwatch = field(default_factory=Stopwatch)
    prediction: BatchedPrediction | None = None
    noted: dict[str, int] = field(default_factory=dict)
    paid: tuple[Paid, ...] = ()

    def restart(self) -> None:
        """What was taken so far is booked as encoding, in an entry of its own."""
        self.hold.restart()
        self.watch.restart()

    def note(self, step: int) -> None:
        """Step `step` of every node is executed."""
        if self.prediction:
            self.noted = _counts(self.prediction)
        self.entry.note(step, **self.noted, **self.hold.taken())

    def pay(self, paid: Sequence[Paid]) -> None:
        """Images that are recorded have paid this."""
        if paid:
            self.paid += tuple(paid)
            self.entry.note(paid=self.paid, **self.noted, **self.hold.taken())

    def close(self, status: str, **fields: Any) -> Entry:
        """Close the entry with what has been noted."""
        seen = self.prediction.evaluations if self.prediction else 0
        return self.entry.close(
            status,
            seconds=self.watch.rounded(),
            damaged=self.damaged,
            unaccounted=seen - self.noted.get("evaluations", 0),
            paid=self.paid,
            **{**self.noted, **self.hold.taken(), **fields},
        )


def _counts(prediction: BatchedPrediction) -> dict[str, int]:
    return {
        "evaluations": prediction.evaluations,
        "network_rows": prediction.meter.rows,
        "network_calls": prediction.meter.calls,
        "padding_rows": prediction.padding_rows,
        "largest_batch": prediction.batches.largest,
    }


def _representatives(compiled: CompiledPlan) -> Callable[[int], str]:
    """Each segment's noise key: the smallest text hash of its founding members."""
    return cache(lambda segment: min(compiled.planted.founders(int(compiled.plan.nodes[segment]))))
