"""Which measures see anything: what is blind for something says nothing about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.experiments.comparing import Comparing
from benchmarks.experiments.lists import LADDER, MAIN, dealt_out, fewer, shared
from benchmarks.experiments.runs import standard
from benchmarks.experiments.table import BETTER, UNKNOWN, WORSE, Table, listed, told, verdict
from hierflow.scoring.cluster_bootstrap import Interval


@dataclass
class Sight:
    """What measures see.

    Attributes:
        steps: those that are worse at the fewest standard steps.
        clustering: those that are worse under random clustering.
    """

    steps: list[str] = field(default_factory=list)
    clustering: list[str] = field(default_factory=list)

    @property
    def both(self) -> list[str]:
        """Those that see both."""
        return [title for title in self.steps if title in self.clustering]


def measures(comparing: Comparing) -> tuple[Table, Sight]:
    """The table, and what it says of each measure; nothing is known to see before all rows are there."""
    table = Table(
        "Which measures see anything",
        ["measure", *(f"{steps} steps" for steps in LADDER), "random clustering", "sees"],
        f"Differences from 40 standard steps, {MAIN} set; random clustering: from the true one, both at tau 1. A "
        "measure has to be worse, with its whole interval, at 4 steps and under random clustering. Where it is not, "
        "it is blind, and no sentence below is about it.",
    )
    sight, full, true = Sight(), standard(MAIN, 0), shared(MAIN, 0)
    lacking: dict[int, list[str]] = {steps: [] for steps in LADDER}
    for title in comparing.titles:
        found = [comparing.difference(fewer(MAIN, 0, steps), full, title) for steps in LADDER]
        found.append(comparing.difference(dealt_out(MAIN, 0), true, title))
        known = [interval for interval in found if interval]
        if len(known) < len(found):
            table.missing += 1
            continue
        worse = [verdict(interval, title) == WORSE for interval in known]
        ladder = [str(steps) for steps, seen in zip(LADDER, worse[:-1], strict=True) if seen]
        for steps in ladder:
            lacking[int(steps)].append(title)
        words = []
        if worse[len(LADDER) - 1]:
            sight.steps.append(title)
            words.append(f"steps ({', '.join(ladder)})")
        if worse[-1]:
            sight.clustering.append(title)
            words.append("clustering")
        table.add([title], [*map(told, known), " and ".join(words) or "nothing"])
    if table.rows and not table.missing:
        fewer_do = [f"{steps}: {f'by {listed(by)}' if by else 'by none'}" for steps, by in lacking.items()]
        table.short.append(
            f"By which measures fewer standard steps are seen to be worse than 40: {'; '.join(fewer_do)}."
        )
        for what, seeing in (("few steps", sight.steps), ("random clustering", sight.clustering)):
            blind = [title for title in comparing.titles if title not in seeing]
            table.findings += [f"Blind for {what}: {listed(blind)}."] if blind else []
    return table, sight


def sentence(subject: str, found: Mapping[str, Interval | None], seeing: list[str], than: str) -> str | None:
    """What differences say, by the measures that see; None if one is missing, or nothing sees."""
    by: dict[str, list[str]] = {}
    for title in seeing:
        interval = found.get(title)
        if interval is None:
            return None
        by.setdefault(verdict(interval, title), []).append(title)
    words = [f"{word} by {listed(by[word])}" for word in (BETTER, WORSE) if word in by]
    words += [f"not to be told apart by {listed(by[UNKNOWN])}"] if UNKNOWN in by else []
    return f"{subject}, against {than}: {'; '.join(words)}." if words else None
