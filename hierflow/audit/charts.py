"""The account's charts, as places and sizes for the page to draw: x in percent of the width, y in pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hierflow.audit.books import Books
from hierflow.audit.history import PastRun
from hierflow.audit.wording import when

_KINDS = {"standard": "without sharing", "planned": "planned", "executed": "executed"}
_WORK = ("denoise", "encode", "decode", "score", "load")
_SHOWN_RUNS, _FEWEST = 40, 8
_HEIGHT, _TOP = 180.0, 22.0


def books_bars(books: Books) -> list[dict[str, str]]:
    """A bar each for what is standard, planned and executed; what was measured is no part of making the set."""
    executed = books.executed - books.measured
    longest = max(books.standard, executed)
    bars = (
        ("standard", "Without sharing", books.standard),
        ("planned", "Planned", books.planned),
        ("executed", "Executed, without measuring" if books.measured else "Executed", executed),
    )
    return [
        {"kind": kind, "label": label, "count": f"{count:,}", "width": f"{100 * count / longest:.2f}%"}
        for kind, label, count in bars
    ]


def time_bar(spent: Mapping[str, float]) -> list[dict[str, str]]:
    """What the seconds went on, with the place of each in one bar."""
    total = sum(spent.values())
    order = [*(name for name in _WORK if name in spent), *(name for name in spent if name not in _WORK)]
    parts, start = [], 0.0
    for place, name in enumerate(order if total else ()):
        share = 100 * spent[name] / total
        parts.append(
            {
                "name": name,
                "kind": f"k{min(place, 5)}",
                "x": f"{start:.2f}%",
                "width": f"{share:.2f}%",
                "share": f"{share:.1f}%",
                "seconds": f"{spent[name]:,.1f} s",
            }
        )
        start += share
    return parts


def runs_chart(past: Sequence[PastRun]) -> dict[str, Any] | None:
    """The evaluations of the latest runs as bars, one before the other: without sharing, planned, executed.

    What was measured is told, but is in no bar.
    """
    past = past[-_SHOWN_RUNS:]
    tallest = max((max(run.standard, run.planned, run.executed - run.measured) for run in past), default=0)
    if not tallest:
        return None
    slot = 100 / max(len(past), _FEWEST)
    width = min(0.6 * slot, 7.0)

    def bar(kind: str, count: int) -> dict[str, str]:
        size = _HEIGHT * count / tallest
        return {"kind": kind, "y": f"{_TOP + _HEIGHT - size:.1f}", "height": f"{size:.1f}"}

    groups = []
    for place, run in enumerate(past):
        saved = "" if run.saved is None else f"; {run.saved:.1%} saved"
        executed, measured = run.executed - run.measured, f"; {run.measured:,} measured" if run.measured else ""
        counts = (("standard", run.standard), ("planned", run.planned), ("executed", executed))
        groups.append(
            {
                "x": f"{place * slot + (slot - width) / 2:.3f}%",
                "width": f"{width:.3f}%",
                "bars": [bar(kind, count) for kind, count in counts if count],
                "told": f"{when(run.began)}: "
                + ", ".join(f"{count:,} {_KINDS[kind]}" for kind, count in counts if count or kind == "executed")
                + measured
                + saved,
            }
        )
    lines = [(f"{_TOP + _HEIGHT * (1 - share):.1f}", f"{tallest * share:,.0f}") for share in (1.0, 0.5, 0.0)]
    return {
        "groups": groups,
        "lines": lines,
        "base": f"{_TOP + _HEIGHT:.1f}",
        "first": when(past[0].began)[:10],
        "last": when(past[-1].began)[:10] if len(past) >= _FEWEST // 2 else "",
        "end": f"{slot * len(past):.2f}%",
    }
