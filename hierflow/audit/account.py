"""An image set's account: its books, and what they took in time, energy and money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hierflow.audit.books import Books
from hierflow.audit.made import Made, SetNow, pace_of, rounded
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
        made: the images this invocation was the first to finish, and what they took.
        seconds_saved: estimated wall seconds of denoising that sharing saved on `made`, at the invocation's own pace;
            None if it executed nothing. Summed over invocations no image and no evaluation counts twice.
        saved_end_to_end: `seconds_saved` as a share of what the invocation would have taken without sharing: the
            standard evaluations of `made` at its pace, and the same seconds for everything else but measuring. None
            if it made no image.
        seconds_reused: estimated wall seconds of denoising that it did not have to spend as states were there before,
            at the same pace. No saving of sharing, and nothing to be summed: every invocation finds them again.
        set_now: what the images that are in the set now took, whichever invocations made them.
        gpu: what it took of accelerators, measuring included.
        cost: what that cost; None if the document has no prices.
        prior_evaluations: sampler steps of the prior in this invocation.
        network_rows, network_calls, padding_rows: what the network saw in this invocation.
        runs: the entries of this invocation, shortest form.
    """

    books: Books
    executed_ever: int
    seconds: dict[str, float]
    made: Made
    seconds_saved: float | None
    saved_end_to_end: float | None
    seconds_reused: float | None
    set_now: SetNow
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


def account(
    books: Books, entries: Sequence[Entry], own: Sequence[Entry], made: Made, now: SetNow, prices: CostSpec
) -> Audit:
    """The account of the entries `own`.

    Args:
        books: theirs.
        entries: the whole ledger.
        own: the entries that are audited.
        made: the images that the audited entries were the first to finish; what could not be made saves nothing.
        now: what the images in the set took.
        prices: the document's.
    """
    seconds, pace = _seconds(own), pace_of(own)
    saved = None if pace is None else made.saved * pace
    reused = None if pace is None else books.reused * pace
    return Audit(
        books=books,
        executed_ever=sum(entry.evaluations for entry in entries),
        seconds=seconds,
        made=made,
        seconds_saved=rounded(saved),
        saved_end_to_end=_end_to_end(made, pace, seconds),
        seconds_reused=rounded(reused),
        set_now=now,
        gpu=gpu_use(own),
        cost=cost_of(prices, own, saved, reused),
        prior_evaluations=sum(entry.prior_evaluations for entry in own),
        network_rows=sum(entry.network_rows for entry in own),
        network_calls=sum(entry.network_calls for entry in own),
        padding_rows=sum(entry.padding_rows for entry in own),
        runs=[{name: getattr(entry, name) for name in _SHORT} for entry in own],
    )


def audit_metadata(account: Audit) -> dict[str, int | float | str | None]:
    """The account in flat figures that can be plotted over runs; None where a figure is not known.

    Seconds are wall seconds; costs are in `currency`; shares are at most 1. What begins with `set_` is of the images
    that are in the set now, everything else of the audited runs.
    """
    books, cost, now = account.books, account.cost, account.set_now
    return {
        **{name: getattr(books, name) for name in BOOKED},
        "saved": books.saved,
        "executed_ever": account.executed_ever,
        "padding_share": account.padding_share,
        "seconds": round(sum(account.spent.values()), 3),
        "seconds_measured": account.seconds.get("measure", 0.0),
        "seconds_saved": account.seconds_saved,
        "saved_end_to_end": account.saved_end_to_end,
        "seconds_reused": account.seconds_reused,
        "gpu_seconds": account.gpu.seconds,
        "kwh": account.gpu.kwh,
        "cost": cost.spent if cost else None,
        "cost_measured": cost.measured if cost else None,
        "cost_saved": cost.saved if cost else None,
        "cost_reused": cost.reused if cost else None,
        "currency": cost.currency if cost else None,
        **{f"set_{name}": value for name, value in asdict(now).items()},
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


def _end_to_end(made: Made, pace: float | None, seconds: dict[str, float]) -> float | None:
    """What sharing saved, as a share of what everything but measuring would have taken."""
    if pace is None or not made.images:
        return None
    others = sum(value for name, value in seconds.items() if name not in ("denoise", "startup", "measure"))
    return made.saved * pace / (made.standard * pace + others)
