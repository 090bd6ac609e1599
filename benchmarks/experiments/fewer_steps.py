"""Tables of the expert's question: why share, and not take fewer steps, or a better sampler?"""

from __future__ import annotations

from dataclasses import replace

from benchmarks.experiments.comparing import Comparing
from benchmarks.experiments.lists import (
    MAIN,
    PAPERS_TAU,
    SAMPLER_STEPS,
    SAMPLERS,
    TAUS,
    as_many,
    few,
    fewer,
    shared,
)
from benchmarks.experiments.runs import Run, standard
from benchmarks.experiments.sight import Sight, sentence
from benchmarks.experiments.table import BETTER, WORSE, Table, listed, those, told
from hierflow.scoring.cluster_bootstrap import Interval

EQUAL_BUDGETS = "Equal budgets: share, or take fewer steps? (Fig. 5 in form)"


def budgets(comparing: Comparing, sight: Sight) -> Table:
    """Fig. 5: the score at equal budgets, sharing less fewer standard steps."""
    table = Table(
        EQUAL_BUDGETS,
        ["sharing", "evaluations an image", "against", *comparing.titles],
        f"{MAIN.capitalize()} set. Sharing among 40 steps, less standard images with as many steps as cost at least "
        "as much, and less the standard way. Positive is in favour of sharing, but for KID, where negative is. The "
        "paper shows such curves of VQAScore; their figures are not at hand.",
    )
    won, kept = list[str](), list[str]()
    for tau in TAUS:
        tried = shared(MAIN, 0, tau)
        if not comparing.kept(tried):
            table.missing += 1
            continue
        each, equal = f"{comparing.per_image(tried):.1f}", fewer(MAIN, 0, comparing.bench.steps_like(tried))
        found = _row(comparing, table, tried, equal, [f"tau {tau:g}", each, equal.title], sight.both)
        won += [f"at tau {tau:g} by {listed(better)}" for better in [those(found, sight.both, BETTER)] if better]
        full = standard(MAIN, 0)
        found = _row(comparing, table, tried, full, [f"tau {tau:g}", each, full.title], sight.clustering)
        if None not in found.values() and not those(found, sight.clustering, WORSE):
            kept.append(f"tau {tau:g} (saved {comparing.saved(tried):.1%})")
    if sight.both and not table.missing:
        where = "; ".join(won) or f"at none of tau {listed([f'{tau:g}' for tau in TAUS])}"
        table.short.append(f"Against as many standard steps, sharing wins {where}.")
        where = listed(kept) if kept else "at none of these taus"
        table.short.append(f"Against all 40 standard steps, sharing is not seen to lose: {where}.")
    return table


def few_steps(comparing: Comparing, sight: Sight) -> Table:
    """Sharing among few steps, less the same sampler with as many fewer."""
    table = Table(
        "Equal budgets where every step counts",
        ["sharing", "evaluations an image", "less", *comparing.titles],
        f"{MAIN.capitalize()} set. Among 40 steps many can be left out unseen. Here are few to begin with: shared, "
        "less the same sampler with as many steps for every prompt as cost at least as much. Positive is in favour "
        "of sharing, but for KID, where negative is. Not a table of the paper.",
    )
    better, worse = list[str](), list[str]()
    for tried in few(0):
        equal = as_many(tried, comparing.bench.steps_like(tried))
        each = f"{comparing.per_image(tried):.1f}" if comparing.kept(tried) else ""
        found = _row(comparing, table, tried, equal, [tried.title, each, equal.title], sight.both)
        for where, word in ((better, BETTER), (worse, WORSE)):
            if by := those(found, sight.both, word):
                where.append(f"{tried.title} (by {listed(by)})")
    if sight.both and not table.missing:
        wins, loses = ("; ".join(where) or "nowhere" for where in (better, worse))
        table.short.append(
            f"With few steps to begin with, against as many fewer, sharing wins: {wins}; loses: {loses}."
        )
    return table


def samplers(comparing: Comparing, sight: Sight) -> tuple[Table, Table]:
    """DPM++ 2M and UniPC alone, against DDPM, and with sharing on top, against without."""
    columns = ["sampler", "evaluations an image", "less", *comparing.titles]
    plain = Table(
        "Why not fewer steps, or DPM++?",
        columns,
        f"{MAIN.capitalize()} set. Other samplers without sharing, less the standard way, and less DDPM with 40 "
        "steps shared at tau 1. Positive is in favour of the sampler, but for KID, where negative is. Not a table of "
        "the paper.",
    )
    on_top = Table(
        "Sharing on top of other samplers",
        columns,
        f"{MAIN.capitalize()} set. Each sampler shared at tau 1, less the same sampler with as many steps without.",
    )
    good, ahead = list[str](), list[str]()
    for run in (Run(MAIN, 0, steps=steps, scheduler=name) for name in SAMPLERS for steps in SAMPLER_STEPS):
        if comparing.kept(run):
            head = [run.title, f"{comparing.per_image(run):.1f}"]
            full, other = standard(MAIN, 0), shared(MAIN, 0)
            found = _row(comparing, plain, run, full, [*head, full.title], sight.steps)
            good += [run.title] if None not in found.values() and not those(found, sight.steps, WORSE) else []
            found = _row(comparing, plain, run, other, [*head, other.title], sight.both)
            ahead += [run.title] if those(found, sight.both, BETTER) and not those(found, sight.both, WORSE) else []
        else:
            plain.missing += 2
        tried = replace(run, tau=PAPERS_TAU)
        each = f"{comparing.per_image(tried):.1f}" if comparing.kept(tried) else ""
        _row(comparing, on_top, tried, run, [tried.title, each, run.title], sight.clustering)
    if sight.steps and good:
        plain.short.append(f"Without sharing, not seen to be worse than DDPM 40: {listed(good)}.")
    if sight.both and ahead:
        plain.short.append(f"Better than {shared(MAIN, 0).title}, and by no measure worse: {listed(ahead)}.")
    return plain, on_top


def _row(
    comparing: Comparing, table: Table, tried: Run, against: Run, head: list[str], seeing: list[str]
) -> dict[str, Interval | None]:
    found = {title: comparing.difference(tried, against, title) for title in comparing.titles}
    table.add(head, [told(interval) for interval in found.values()])
    said = sentence(tried.title, found, seeing, against.title)
    table.findings += [said] if said else []
    return found
