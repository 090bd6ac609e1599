"""The ledger by invocation: what each command or job executed, of what plan, and what sharing saved of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hierflow.audit.flow import Flow
from hierflow.audit.made import pace_of, rounded
from hierflow.audit.spending import cost_a_second, gpu_use, spending
from hierflow.spec import CostSpec
from hierflow.store.ledger import MEASURED, Entry


@dataclass(frozen=True)
class PastRun:
    """What one invocation did. Invocations that found nothing to do have left no trace in the ledger.

    Attributes:
        invocation: the command, job or call.
        began: seconds since the epoch.
        standard, planned: evaluations of its plan without and with sharing; 0 where they are not known.
        executed: evaluations it made.
        measured: those of them that measured something.
        seconds: wall seconds of its stages.
        gpu_seconds, kwh, cost: see :mod:`hierflow.audit.spending`; at today's prices.
        failed: whether a part of it failed or was killed.
        images: how many it was the first to finish, those that edits have replaced since among them; None where the
            ledger is too old to tell. Images that are decoded from the same latents are one.
        saved_evaluations: what these images would have taken without sharing, less all it executed for images and
            what measuring had executed for them; None likewise. Negative where more was repeated than shared.
        seconds_saved: that at its own pace, estimated; None where there is none.
        cost_saved: what these seconds would have cost, at its own price of a second; None where there is none.
    """

    invocation: str
    began: float
    standard: int
    planned: int
    executed: int
    measured: int
    seconds: float
    gpu_seconds: float
    kwh: float | None
    cost: float | None
    failed: bool
    images: int | None
    saved_evaluations: int | None
    seconds_saved: float | None
    cost_saved: float | None

    @property
    def saved(self) -> float | None:
        """1 - planned / standard of its plan."""
        return 1.0 - self.planned / self.standard if self.standard else None

    def as_json(self) -> dict[str, Any]:
        """For the stored file."""
        return {**asdict(self), "saved": self.saved}


@dataclass(frozen=True)
class Total:
    """What some invocations did together, whatever plans they were for.

    Attributes:
        runs: how many they are.
        untold: how many of them are too old to tell what they made and saved; they are in no figure of that.
        images, saved_evaluations, seconds_saved, cost_saved: sums of :class:`PastRun`'s; these can be added, as every
            image counts once and every evaluation too. None where no run tells.
        executed, measured, seconds, gpu_seconds, kwh, cost: likewise, of all runs.
    """

    runs: int
    untold: int
    images: int | None
    executed: int
    measured: int
    saved_evaluations: int | None
    seconds: float
    seconds_saved: float | None
    gpu_seconds: float
    kwh: float | None
    cost: float | None
    cost_saved: float | None


def past_runs(entries: Sequence[Entry], prices: CostSpec) -> list[PastRun]:
    """Every invocation in `entries` (oldest first, as the ledger has them), oldest first."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.invocation, []).append(entry)
    flow = Flow(entries)
    return [_past_run(invocation, own, prices, flow) for invocation, own in found.items()]


def total_of(past: Sequence[PastRun]) -> Total:
    """What some invocations did together."""

    def known(name: str) -> Any:
        figures = [figure for run in past if (figure := getattr(run, name)) is not None]
        return sum(figures) if figures else None

    return Total(
        runs=len(past),
        untold=sum(run.saved_evaluations is None for run in past),
        images=known("images"),
        executed=sum(run.executed for run in past),
        measured=sum(run.measured for run in past),
        saved_evaluations=known("saved_evaluations"),
        seconds=round(sum(run.seconds for run in past), 3),
        seconds_saved=rounded(known("seconds_saved")),
        gpu_seconds=round(sum(run.gpu_seconds for run in past), 3),
        kwh=known("kwh"),
        cost=known("cost"),
        cost_saved=known("cost_saved"),
    )


def plans_of(entries: Sequence[Entry]) -> dict[str, str]:
    """The plan that each invocation in `entries` (oldest first) worked for, by its id; empty where there is none yet.

    Encoding and pilots come before there is a plan. They are for that of their invocation, or where it executed none
    (a look ahead, a run that broke off) for that of the next one that did.
    """
    found = {entry.invocation: entry.plan for entry in entries if entry.plan}
    following = ""
    for entry in reversed(entries):
        following = found.setdefault(entry.invocation, following)
    return found


def _past_run(invocation: str, own: Sequence[Entry], prices: CostSpec, flow: Flow) -> PastRun:
    use, made = gpu_use(own), flow.made_by(own)
    images, saved = made or (None, None)
    pace, price = pace_of(own) if saved else 0.0, cost_a_second(prices, own)
    seconds_saved = None if saved is None or pace is None else saved * pace
    seconds = sum(value for entry in own for name, value in entry.seconds.items() if name != "startup")
    return PastRun(
        invocation=invocation,
        began=own[0].started,
        standard=own[-1].standard,
        planned=own[-1].planned,
        executed=sum(entry.evaluations for entry in own),
        measured=sum(entry.evaluations for entry in own if entry.stage == MEASURED),
        seconds=round(seconds, 3),
        gpu_seconds=use.seconds,
        kwh=use.kwh,
        cost=spending(prices, use.seconds, use.kwh),
        failed=any(entry.status != "done" for entry in own),
        images=images,
        saved_evaluations=saved,
        seconds_saved=rounded(seconds_saved),
        cost_saved=None if seconds_saved is None or price is None else seconds_saved * price,
    )
