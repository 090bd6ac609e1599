"""The ledger by invocation: what each command or job executed, of what plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hierflow.audit.spending import gpu_use, spending
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

    @property
    def saved(self) -> float | None:
        """1 - planned / standard of its plan."""
        return 1.0 - self.planned / self.standard if self.standard else None

    def as_json(self) -> dict[str, Any]:
        """For the stored file."""
        return {**asdict(self), "saved": self.saved}


def past_runs(entries: Sequence[Entry], prices: CostSpec) -> list[PastRun]:
    """Every invocation in `entries` (oldest first, as the ledger has them), oldest first."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.invocation, []).append(entry)
    return [_past_run(invocation, own, prices) for invocation, own in found.items()]


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


def _past_run(invocation: str, own: Sequence[Entry], prices: CostSpec) -> PastRun:
    use = gpu_use(own)
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
    )
