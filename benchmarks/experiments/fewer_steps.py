"""Tables of the expert's question: why share, and not take fewer steps, or a better sampler?"""

from __future__ import annotations

from dataclasses import replace

from benchmarks.experiments.comparing import Comparing
from benchmarks.experiments.lists import MAIN, PAPERS_TAU, SAMPLER_STEPS, SAMPLERS, TAUS, fewer, shared
from benchmarks.experiments.runs import Run, standard
from benchmarks.experiments.sight import Sight, sentence
from benchmarks.experiments.table import BETTER, WORSE, Table, listed, those, told
from hierflow.scoring.cluster_bootstrap import Interval


def budgets(comparing: Comparing, sight: Sight) -> Table:
    """Fig. 5: the score at equal budgets, sharing less fewer standard steps."""
    table = Table(
        "Equal budgets: share, or take fewer steps? (Fig. 5 in form)",
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
        found = _row(comparing, table, tried, equal, [f"tau {tau:g}", each, named(equal)], sight.both)
        won += [f"at tau {tau:g} by {listed(better)}" for better in [those(found, sight.both, BETTER)] if better]
        full = standard(MAIN, 0)
        found = _row(comparing, table, tried, full, [f"tau {tau:g}", each, named(full)], sight.clustering)
        if None not in found.values() and not those(found, sight.clustering, WORSE):
            kept.append(f"tau {tau:g} (saved {comparing.saved(tried):.1%})")
    if sight.both and not table.missing:
        where = "; ".join(won) or f"at none of tau {listed([f'{tau:g}' for tau in TAUS])}"
        table.short.append(f"Against as many standard steps, sharing wins {where}.")
        where = listed(kept) if kept else "at none of these taus"
        table.short.append(f"Against all 40 standard steps, sharing is not seen to lose: {where}.")
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
            head = [named(run), f"{comparing.per_image(run):.1f}"]
            full, other = standard(MAIN, 0), shared(MAIN, 0)
            found = _row(comparing, plain, run, full, [*head, named(full)], sight.steps)
            good += [named(run)] if None not in found.values() and not those(found, sight.steps, WORSE) else []
            found = _row(comparing, plain, run, other, [*head, named(other)], sight.both)
            ahead += [named(run)] if those(found, sight.both, BETTER) and not those(found, sight.both, WORSE) else []
        else:
            plain.missing += 2
        tried = replace(run, tau=PAPERS_TAU)
        each = f"{comparing.per_image(tried):.1f}" if comparing.kept(tried) else ""
        _row(comparing, on_top, tried, run, [named(tried), each, named(run)], sight.clustering)
    if sight.steps and good:
        plain.short.append(f"Without sharing, not seen to be worse than DDPM 40: {listed(good)}.")
    if sight.both and ahead:
        plain.short.append(f"Better than {named(shared(MAIN, 0))}, and by no measure worse: {listed(ahead)}.")
    return plain, on_top


def named(run: Run) -> str:
    """A run in words."""
    sampler = "DDPM" if run.scheduler == "ddpm" else run.scheduler
    return f"{sampler} {run.steps}" + (f", tau {run.tau:g}" if run.shares else "")


def _row(
    comparing: Comparing, table: Table, tried: Run, against: Run, head: list[str], seeing: list[str]
) -> dict[str, Interval | None]:
    found = {title: comparing.difference(tried, against, title) for title in comparing.titles}
    table.add(head, [told(interval) for interval in found.values()])
    said = sentence(named(tried), found, seeing, named(against))
    table.findings += [said] if said else []
    return found
