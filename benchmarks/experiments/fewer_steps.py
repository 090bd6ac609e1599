"""Tables of the expert's question: why share, and not take fewer steps, or a better sampler?"""

from __future__ import annotations

from dataclasses import replace

from benchmarks.experiments.comparing import Comparing
from benchmarks.experiments.lists import MAIN, PAPERS_TAU, SAMPLER_STEPS, SAMPLERS, TAUS, fewer, shared
from benchmarks.experiments.runs import Run, standard
from benchmarks.experiments.sight import Sight, sentence
from benchmarks.experiments.table import Table, told


def budgets(comparing: Comparing, sight: Sight) -> Table:
    """Fig. 5: the score at equal budgets, sharing less fewer standard steps."""
    table = Table(
        "Equal budgets: share, or take fewer steps? (Fig. 5 in form)",
        ["sharing", "evaluations an image", "against", *comparing.titles],
        f"{MAIN.capitalize()} set. Sharing among 40 steps, less standard images with as many steps as cost at least "
        "as much. Positive is in favour of sharing, but for KID, where negative is. The paper shows such curves of "
        "VQAScore; their figures are not at hand.",
    )
    for tau in TAUS:
        tried = shared(MAIN, 0, tau)
        if not comparing.kept(tried):
            table.missing += 1
            continue
        steps = comparing.bench.steps_like(tried)
        each = f"{comparing.per_image(tried):.1f}"
        _row(comparing, table, tried, fewer(MAIN, 0, steps), [f"tau {tau:g}", each, f"{steps} steps"], sight.both)
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
    for run in (Run(MAIN, 0, steps=steps, scheduler=name) for name in SAMPLERS for steps in SAMPLER_STEPS):
        tried = replace(run, tau=PAPERS_TAU)
        for table, one, against, seeing in (
            (plain, run, standard(MAIN, 0), sight.steps),
            (plain, run, shared(MAIN, 0), sight.both),
            (on_top, tried, run, sight.clustering),
        ):
            if not comparing.kept(one):
                table.missing += 1
                continue
            _row(
                comparing,
                table,
                one,
                against,
                [named(one), f"{comparing.per_image(one):.1f}", named(against)],
                seeing,
            )
    return plain, on_top


def named(run: Run) -> str:
    """A run in words."""
    sampler = "DDPM" if run.scheduler == "ddpm" else run.scheduler
    return f"{sampler} {run.steps}" + (f", tau {run.tau:g}" if run.shares else "")


def _row(comparing: Comparing, table: Table, tried: Run, against: Run, head: list[str], seeing: list[str]) -> None:
    found = {title: comparing.difference(tried, against, title) for title in comparing.titles}
    table.add(head, [told(interval) for interval in found.values()])
    said = sentence(named(tried), found, seeing, named(against))
    table.findings += [said] if said else []
