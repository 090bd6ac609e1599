"""What runs took besides evaluations: GPU seconds, energy and money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hierflow.spec import CostSpec
from hierflow.store.ledger import MEASURED, Entry

_HOUR = 3600.0


@dataclass(frozen=True)
class GpuUse:
    """What runs took of accelerators.

    Attributes:
        seconds: for how long they held one, from loading to scoring; 0 on a CPU.
        names: the accelerators.
        kwh: what their cards used meanwhile, as far as they say; None where none does.
        metered_seconds: the GPU seconds that `kwh` covers.
        note: why figures are missing; empty if none is.
    """

    seconds: float
    names: tuple[str, ...]
    kwh: float | None
    metered_seconds: float
    note: str


@dataclass(frozen=True)
class Cost:
    """What runs cost at the document's prices.

    Attributes:
        currency: of all figures.
        spent: GPU hours and kWh at their prices, prior, decoder, scores and measuring included; None where there is
            nothing to price.
        measured: what of that measuring took; None where it took nothing that has a price.
        saved: what the denoising that sharing saved would have cost, estimated at these runs' own pace and cost a GPU
            second; None where it is not known.
        reused: the same of the denoising that reuse spared them, which is no saving of sharing.
        note: what is not in `spent`; empty if all is.
    """

    currency: str
    spent: float | None
    measured: float | None
    saved: float | None
    reused: float | None
    note: str


def gpu_use(entries: Sequence[Entry]) -> GpuUse:
    """Add up what `entries` took of accelerators."""
    held = [entry for entry in entries if entry.gpu_seconds]
    metered = [entry for entry in held if entry.kwh is not None]
    return GpuUse(
        seconds=round(sum(entry.gpu_seconds for entry in held), 3),
        names=tuple(sorted({str(entry.machine.get("gpu") or entry.device) for entry in held})),
        kwh=sum(entry.kwh or 0.0 for entry in metered) if metered else None,
        metered_seconds=round(sum(entry.gpu_seconds for entry in metered), 3),
        note=_note(entries, held),
    )


def cost_of(
    prices: CostSpec, entries: Sequence[Entry], seconds_saved: float | None, seconds_reused: float | None
) -> Cost | None:
    """Price what `entries` took; None if the document has no prices.

    Args:
        prices: the document's; where both are given, both are paid.
        entries: what is priced.
        seconds_saved: seconds of denoising that sharing saved these entries.
        seconds_reused: seconds of denoising that reuse spared them.
    """
    if prices.per_gpu_hour is None and prices.per_kwh is None:
        return None
    second = cost_a_second(prices, entries)
    measuring = [entry for entry in entries if entry.stage == MEASURED]
    return Cost(
        currency=prices.currency,
        spent=_spent_on(prices, entries),
        measured=_spent_on(prices, measuring),
        saved=None if seconds_saved is None or second is None else seconds_saved * second,
        reused=None if seconds_reused is None or second is None else seconds_reused * second,
        note=_unpriced(prices, gpu_use(entries)),
    )


def spending(prices: CostSpec, gpu_seconds: float, kwh: float | None) -> float | None:
    """GPU hours and kWh at their prices; None where neither has a price and a figure."""
    parts = []
    if prices.per_gpu_hour is not None and gpu_seconds:
        parts.append(gpu_seconds / _HOUR * prices.per_gpu_hour)
    if prices.per_kwh is not None and kwh is not None:
        parts.append(kwh * prices.per_kwh)
    return sum(parts) if parts else None


def _spent_on(prices: CostSpec, entries: Sequence[Entry]) -> float | None:
    use = gpu_use(entries)
    return spending(prices, use.seconds, use.kwh)


def cost_a_second(prices: CostSpec, entries: Sequence[Entry]) -> float | None:
    """What a second of denoising cost those of `entries` that do not measure; None where it is not known.

    Seconds that no accelerator was held for cost nothing.
    """
    making = [entry for entry in entries if entry.stage != MEASURED]
    spent, total = _spent_on(prices, making), sum(entry.seconds.get("denoise", 0.0) for entry in making)
    if spent is None or not total:
        return None
    held = sum(entry.seconds.get("denoise", 0.0) for entry in making if entry.gpu_seconds)
    return held / total * spent / gpu_use(making).seconds


def _note(entries: Sequence[Entry], held: Sequence[Entry]) -> str:
    notes = [f"energy {note}" for note in sorted({entry.energy_note for entry in held if entry.energy_note})]
    uncounted = sum(not entry.device and bool(entry.machine.get("gpu")) for entry in entries)
    if uncounted:
        notes.append(f"{uncounted} of the runs took place before GPU seconds were counted")
    if not held and not notes:
        return "no GPU was used"
    return "; ".join(notes)


def _unpriced(prices: CostSpec, use: GpuUse) -> str:
    if not use.seconds:
        return use.note
    if prices.per_kwh is not None and use.metered_seconds < use.seconds:
        share = use.metered_seconds / use.seconds
        return f"electricity is priced for {share:.0%} of the GPU seconds: {use.note}"
    return ""
