"""Plan to latents: executing a slice of the plan, and booking what it took."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from hierflow.denoise.batched_prediction import BatchedPrediction
from hierflow.denoise.frontier import Frontier
from hierflow.denoise.sampler_state import SamplerState
from hierflow.denoise.work import Stretch, ledger_work, plan_work
from hierflow.plan.compiled import CompiledPlan
from hierflow.plan.document import PlanDocument
from hierflow.plan.lanes import Lane
from hierflow.plan.partitions import TRUNK
from hierflow.plan.selection import Selected
from hierflow.prompts import PromptSet
from hierflow.stages.booking import Booking, booked
from hierflow.stages.context import Stage
from hierflow.stages.embedding.node_conditioning import node_conditioning
from hierflow.stages.making.agreement import check_model
from hierflow.stages.making.batch_size import batches_of
from hierflow.stages.making.wanted import by_lane, unmade
from hierflow.store.ledger import MEASURED

if TYPE_CHECKING:
    import torch


@dataclass
class Denoised:
    """What a slice's denoising left.

    Attributes:
        booking: its ledger entry, which is still open.
        executed: evaluations by the hook on the network.
        states: the latents of prompts' final states, by id, (1, ...) each, as far as they were made just now.
    """

    booking: Booking
    executed: int = 0
    states: dict[str, torch.Tensor] = field(default_factory=dict)


def denoise_trunk(
    stage: Stage,
    compiled: CompiledPlan,
    prompts: PromptSet,
    keys: Collection[str],
    selected: Selected | None = None,
) -> int:
    """Execute the steps above the partition cut that the images which the partitions `keys` lack start from.

    Only the images of the `selected` prompts count; None for all.

    Returns:
        The evaluations executed, 0 if everything was stored or nothing is shared above the cut.

    Raises:
        RunError: the plan was made for another model.
    """
    check_model(stage, compiled)
    missing = unmade(stage, compiled, prompts, keys, stage.store.ledger.entries(), selected)
    stretches = _work(stage, _trunk_ends(stage, compiled, by_lane(missing)))
    if not stretches:
        return 0
    with _booked(stage, stretches, "trunk", compiled.document) as booking:
        return _executed(stage, compiled, stretches, booking, "the trunk").executed


@contextmanager
def denoised_partition(
    stage: Stage, compiled: CompiledPlan, key: str, leaves: Mapping[Lane, Iterable[int]]
) -> Iterator[Denoised]:
    """Executes what leads to the final states of prompts of partition `key`: leaves by their lane.

    The ledger entry stays open within, for decoding and scoring belong to the same run.
    """
    document, stretches = compiled.document, _work(stage, compiled.terminals(leaves))
    asked = {"partition": key, "slice": document.partition(key).slice}
    with _booked(stage, stretches, "partition", document, **asked) as booking:
        yield _executed(stage, compiled, stretches, booking, key)


@contextmanager
def denoised_baselines(
    stage: Stage, of: CompiledPlan | None, arm: CompiledPlan, leaves: Mapping[Lane, Iterable[int]]
) -> Iterator[Denoised]:
    """Executes what leads to the final states of an arm's prompts: leaves by their lane.

    The work is booked as measured: for the set's plan `of`, or before there is one. The ledger entry stays open
    within, as that of :func:`denoised_partition` does.
    """
    stretches = _work(stage, arm.terminals(leaves))
    with _booked(stage, stretches, MEASURED, of.document if of else None) as booking:
        yield _executed(stage, arm, stretches, booking, "baselines")


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


def _booked(
    stage: Stage, stretches: Sequence[Stretch], kind: str, of: PlanDocument | None, **fields: Any
) -> AbstractContextManager[Booking]:
    """Books the execution of stretches, and what follows it, in an entry of its own."""
    # Damaged states are listed now: once made again they are whole again.
    damaged, first = tuple(sorted(stage.store.states.damaged)), "load" if stretches else "decode"
    work = ledger_work(stretches)
    return booked(stage, kind, first, of, work=work, pace=stage.pace, damaged=damaged, **fields)


def _executed(
    stage: Stage, compiled: CompiledPlan, stretches: Sequence[Stretch], booking: Booking, what: str
) -> Denoised:
    """Execute stretches of `compiled`, and note it level by level; `what` they are of is for whoever watches.

    Of a level that breaks off nothing counts as executed; how much of it the hook saw is booked as unaccounted for.
    """
    done = Denoised(booking)
    if not stretches:
        return done
    final = {stretch.keep[stretch.last] for stretch in stretches if stretch.last == compiled.plan.steps}

    def keep(state_id: str, state: SamplerState) -> None:
        if bool(state.latents.isfinite().all()):  # else a later run would start from what has failed already
            stage.store.states.save(state_id, state.tensors(), state.meta())
        if state_id in final:
            done.states[state_id] = state.latents

    frontier = Frontier(
        stage.adapter,
        conditioning=node_conditioning(stage, compiled, stretches, on_encoded=booking.restart),
        representative=_representatives(compiled),
        keep=keep,
        batches=batches_of(stage),
    )
    prediction, network = frontier.prediction, stage.adapter.network
    booking.watch.go_on("denoise")
    booking.watch.seconds["startup"] = time.time() - stage.began
    progress = stage.progress(f"denoising {what}", sum(map(len, stretches)))
    hook = prediction.meter.attach(network)
    try:
        for step, nodes in frontier.run(stretches):
            booking.note(step, **_counts(prediction))
            progress.advance(nodes)
    finally:
        hook.remove()
        progress.close()
        booking.counts["unaccounted"] = prediction.evaluations - booking.counts.get("evaluations", 0)
    done.executed = prediction.evaluations
    return done


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
