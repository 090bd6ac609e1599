"""The tables of the account's page: figures of the last run beside those of all runs, in words."""

from __future__ import annotations

from typing import Any

from hierflow.audit.account import Audit
from hierflow.audit.wording import energy, plain_money
from hierflow.progress import duration

_STATEMENT = (  # sign, field of Books, what it is
    ("", "standard", "Without sharing", "a step of every prompt by itself"),
    ("−", "shared", "Shared", "steps that prompts have in common"),
    ("=", "planned", "Planned", "distinct states of this plan"),
    ("−", "reused", "Reused", "there before"),
    ("−", "outstanding", "Outstanding", "not made yet"),
    ("+", "replayed", "Replayed", "repeated to reach a branching step"),
    ("+", "redone", "Redone", "repeated after a failure"),
    ("+", "measured", "Measured", "to measure something, for no image"),
    ("=", "executed", "Executed", "counted on the network"),
)
_ALWAYS = ("standard", "shared", "planned", "reused", "executed")


def statement(this_run: Audit, all_runs: Audit) -> list[dict[str, str]]:
    """The books, from what is standard down to what was executed; of the lesser lines those that are not 0."""
    columns = [
        {**account.books.__dict__, "shared": account.books.standard - account.books.planned}
        for account in (this_run, all_runs)
    ]
    return [
        {
            "sign": sign,
            "label": label,
            "what": what,
            "this_run": f"{columns[0][name]:,}",
            "all_runs": f"{columns[1][name]:,}",
            "kind": "sum" if sign in ("=", "") else "part",
        }
        for sign, name, label, what in _STATEMENT
        if name in _ALWAYS or columns[0][name] or columns[1][name]
    ]


def savings(this_run: Audit, all_runs: Audit) -> list[tuple[str, str, str]]:
    """What sharing saved on the images that runs made, and what reuse spared them, estimated; empty if unknown."""
    both = (this_run, all_runs)
    rows = [("Images made", [f"{a.made.images:,}" for a in both])]
    rows.append(("Time saved by sharing", [or_dash(a.seconds_saved, duration) for a in both]))
    rows.append(("Time spared by what was there before", [or_dash(a.seconds_reused, duration) for a in both]))
    if all_runs.cost and all_runs.cost.saved is not None:
        currency = all_runs.cost.currency
        rows.append((f"{currency} saved by sharing", [or_dash(a.cost and a.cost.saved, plain_money) for a in both]))
        rows.append(
            (
                f"{currency} spared by what was there before",
                [or_dash(a.cost and a.cost.reused, plain_money) for a in both],
            )
        )
    return [(label, this, whole) for label, (this, whole) in rows] if all_runs.seconds_saved is not None else []


def set_now(account: Audit) -> list[tuple[str, str, str, str]]:
    """Of the images in the set, without sharing, executed and saved: what, evaluations, time, money."""
    now = account.set_now
    if not now.images:
        return []
    rows = (
        ("Without sharing", now.standard, _sum(now.seconds, now.seconds_saved), _sum(now.cost, now.cost_saved)),
        ("Executed for them", now.executed, now.seconds, now.cost),
        ("Saved by sharing", now.standard - now.executed, now.seconds_saved, now.cost_saved),
    )
    return [
        (label, f"{count:,}", or_dash(seconds, duration), "" if money is None else plain_money(money))
        for label, count, seconds, money in rows
    ]


def _sum(*parts: float | None) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def takings(this_run: Audit, all_runs: Audit) -> list[tuple[str, str, str]]:
    """GPU seconds, energy and money, of this run and of all; empty if no run held a GPU."""
    both = (this_run, all_runs)
    if not all_runs.gpu.seconds:
        return []
    rows = [("GPU time", [f"{a.gpu.seconds:,.1f} s" for a in both])]
    rows.append(("Energy", [or_dash(a.gpu.kwh, energy) for a in both]))
    if all_runs.cost:
        currency = all_runs.cost.currency
        rows.append((f"Cost, {currency}", [or_dash(a.cost and a.cost.spent, plain_money) for a in both]))
        if all_runs.cost.measured is not None:
            measured = [or_dash(a.cost and a.cost.measured, plain_money) for a in both]
            rows.append((f"To measure, {currency}, of that", measured))
    return [(label, this, whole) for label, (this, whole) in rows]


def or_dash(value: Any, words: Any) -> str:
    """`value` in `words`; a dash where there is none."""
    return "—" if value is None else str(words(value))
