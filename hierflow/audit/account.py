"""An image set's account: its books, and what they took in time, energy and money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hierflow.audit.books import Books
from hierflow.audit.spending import Cost, GpuUse, cost_of, gpu_use
from hierflow.spec import CostSpec
from hierflow.store.ledger import MEASURED, Entry

BOOKED = (
    *("standard", "planned", "executed", "reused", "replayed", "redone", "measured"),
    *("outstanding", "unaccounted"),
)
_SHORT = (
    *("run", "stage", "partition", "status", "started", "ended", "evaluations", "seconds"),
    *("gpu_seconds", "kwh", "error", "machine"),
)


@dataclass(frozen=True)
class Audit:
    """An image set's account.

    Attributes:
        books: of the invocation that is audited.
        executed_ever: evaluations of all invocations.
        seconds: wall seconds of this invocation, by what they went on; all that measuring took is one of these,
            "measure"; "startup", from the launch to the first evaluation, overlaps with the others.
        seconds_saved: estimated wall seconds of denoising that sharing and reuse saved this invocation, at its own
            pace; None if it executed nothing.
        saved_end_to_end: `seconds_saved` as a share of what the invocation would have taken without: the standard
            evaluations at its pace, and the same seconds for everything else but measuring. None if it executed
            nothing.
        gpu: what it took of accelerators, measuring included.
        cost: what that cost; None if the document has no prices.
        prior_evaluations: sampler steps of the prior in this invocation.
        network_rows, network_calls, padding_rows: what the network saw in this invocation.
        runs: the entries of this invocation, shortest form.
    """

    books: Books
    executed_ever: int
    seconds: dict[str, float]
    seconds_saved: float | None
    saved_end_to_end: float | None
    gpu: GpuUse
    cost: Cost | None
    prior_evaluations: int
    network_rows: int
    network_calls: int
    padding_rows: int
    runs: list[dict[str, Any]]

    @property
    def padding_share(self) -> float:
        """Share of the network's rows that was padding."""
        return self.padding_rows / self.network_rows if self.network_rows else 0.0

    @property
    def spent(self) -> dict[str, float]:
        """`seconds` without the start-up, so that nothing counts twice."""
        return {name: value for name, value in self.seconds.items() if name != "startup"}

    def as_json(self) -> dict[str, Any]:
        """For `--json` and the stored file."""
        plain = asdict(self)
        plain["books"] |= {"saved": self.books.saved, "balanced": self.books.balanced}
        return {**plain, "padding_share": self.padding_share}


def account(books: Books, entries: Sequence[Entry], own: Sequence[Entry], made: float, prices: CostSpec) -> Audit:
    """The account of the entries `own`.

    Args:
        books: theirs.
        entries: the whole ledger.
        own: the entries that are audited.
        made: share of the set's images that exist; what an image that could not be made did not take is not saved.
        prices: the document's.
    """
    seconds = _seconds(own)
    saved, share = _savings(books, seconds, made)
    return Audit(
        books=books,
        executed_ever=sum(entry.evaluations for entry in entries),
        seconds=seconds,
        seconds_saved=saved,
        saved_end_to_end=share,
        gpu=gpu_use(own),
        cost=cost_of(prices, own, saved),
        prior_evaluations=sum(entry.prior_evaluations for entry in own),
        network_rows=sum(entry.network_rows for entry in own),
        network_calls=sum(entry.network_calls for entry in own),
        padding_rows=sum(entry.padding_rows for entry in own),
        runs=[{name: getattr(entry, name) for name in _SHORT} for entry in own],
    )


def audit_metadata(account: Audit) -> dict[str, int | float | str | None]:
    """The account in flat figures that can be plotted over runs; None where a figure is not known.

    Seconds are wall seconds; `cost` and `cost_saved` are in `currency`; shares lie in [0, 1].
    """
    books, cost = account.books, account.cost
    return {
        **{name: getattr(books, name) for name in BOOKED},
        "saved": books.saved,
        "executed_ever": account.executed_ever,
        "padding_share": account.padding_share,
        "seconds": round(sum(account.spent.values()), 3),
        "seconds_measured": account.seconds.get("measure", 0.0),
        "seconds_saved": account.seconds_saved,
        "saved_end_to_end": account.saved_end_to_end,
        "gpu_seconds": account.gpu.seconds,
        "kwh": account.gpu.kwh,
        "cost": cost.spent if cost else None,
        "cost_measured": cost.measured if cost else None,
        "cost_saved": cost.saved if cost else None,
        "currency": cost.currency if cost else None,
    }


def _seconds(entries: Sequence[Entry]) -> dict[str, float]:
    """Wall seconds by what they went on; what measuring took is one of these."""
    found: dict[str, float] = {}
    for entry in entries:
        for name, value in entry.seconds.items():
            if entry.stage != MEASURED:
                found[name] = found.get(name, 0.0) + value
            elif name != "startup":
                found["measure"] = found.get("measure", 0.0) + value
    return {name: round(found[name], 3) for name in sorted(found)}


def _savings(books: Books, seconds: dict[str, float], made: float) -> tuple[float | None, float | None]:
    """Seconds of denoising saved, and their share of what everything but measuring would have taken."""
    executed = books.executed - books.measured
    if not executed or not seconds.get("denoise"):
        return None, None
    pace = seconds["denoise"] / executed
    saved = (books.standard * made - executed) * pace
    others = sum(value for name, value in seconds.items() if name not in ("denoise", "startup", "measure"))
    return round(saved, 3), saved / (books.standard * made * pace + others) if made else None
