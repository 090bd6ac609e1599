"""Booking what a run does in the ledger, whatever becomes of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from hierflow.models.power import Hold
from hierflow.plan.document import PlanDocument
from hierflow.stages.context import Stage, Stopwatch
from hierflow.store.ledger import OpenEntry, Paid


@dataclass
class Booking:
    """What is being booked in an entry of the ledger that is open.

    Attributes:
        entry: the entry.
        hold: on the accelerator.
        watch: the time it takes.
        counts: further fields of the entry, the totals so far.
        error: why something failed that raised nothing; empty if nothing did.
    """

    entry: OpenEntry
    hold: Hold
    watch: Stopwatch
    counts: dict[str, Any] = field(default_factory=dict)
    error: str = ""

    def note(self, level: int | None = None, **counts: Any) -> None:
        """As :meth:`OpenEntry.note`, with all counts, the seconds, and what has been taken of the accelerator."""
        self.counts |= counts
        self.entry.note(level, seconds=self.watch.rounded(), **self.counts, **self.hold.taken())

    def pay(self, paid: Sequence[Paid]) -> None:
        """Images that are recorded have paid this."""
        if paid:
            self.note(paid=(*self.counts.get("paid", ()), *paid))

    def restart(self) -> None:
        """Time and hold begin anew: what they were is booked in an entry of its own."""
        self.hold.restart()
        self.watch.restart()


@contextmanager
def booked(stage: Stage, kind: str, on: str, of: PlanDocument | None = None, **fields: Any) -> Iterator[Booking]:
    """Books what is done within, also where it breaks off: then the entry has failed, and says why.

    Args:
        stage: the set.
        kind: the entry's `stage`.
        on: what the time goes on at first.
        of: the plan on whose account it is done; None before there is one.
        fields: further fields of the entry.
    """
    hold, watch = Hold(stage.adapter.runtime.device), Stopwatch(on)
    if of:
        fields |= {"plan": of.id, "standard": of.standard, "planned": of.planned, "steps": of.steps}
    booking = Booking(stage.open_entry(kind, **fields), hold, watch)
    try:
        yield booking
    except BaseException as error:
        booking.error = f"{type(error).__name__}: {error}"
        raise
    finally:
        booking.entry.close(
            "failed" if booking.error else "done",
            error=booking.error,
            seconds=watch.rounded(),
            **booking.counts,
            **hold.taken(),
        )
