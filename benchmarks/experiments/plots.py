"""Score over evaluations an image: sharing, fewer standard steps, other samplers (Fig. 5 in form)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.experiments.comparing import KID, Comparing
from benchmarks.experiments.lists import (
    FEW,
    LADDER,
    MAIN,
    PAPERS_TAU,
    SAMPLER_STEPS,
    SAMPLERS,
    TAUS,
    few,
    fewer,
    shared,
)
from benchmarks.experiments.runs import Run, standard
from hierflow.scoring.cluster_bootstrap import Interval


class Line(NamedTuple):
    """A line of the plot.

    Attributes:
        name: in the legend.
        style: of matplotlib.
        runs: its points.
    """

    name: str
    style: dict[str, Any]
    runs: list[Run]


def draw_budgets(comparing: Comparing, path: Path) -> bool:
    """Draw a panel a measure: differences from the standard way. Returns whether there is anything to draw."""
    from matplotlib.figure import Figure

    full, titles = standard(MAIN, 0), comparing.titles
    lines = [line._replace(runs=[run for run in line.runs if comparing.kept(run)]) for line in _lines(comparing)]
    lines = [line for line in lines if line.runs]
    if not lines or not comparing.kept(full):
        return False
    figure = Figure(figsize=(3.6 * len(titles), 3.8), dpi=80, layout="constrained")
    for axes, title in zip(figure.subplots(1, len(titles), squeeze=False)[0], titles, strict=True):
        axes.axhline(0, color="0.6", linewidth=0.8)
        for line in lines:
            found = {comparing.per_image(run): comparing.difference(run, full, title) for run in line.runs}
            points = sorted((each, interval) for each, interval in found.items() if interval)
            middle = [interval.estimate for _, interval in points]
            around = list(zip(*(_arms(interval) for _, interval in points), strict=True))
            axes.errorbar([each for each, _ in points], middle, around, capsize=2, label=line.name, **line.style)
        axes.set(
            title=f"{title}{' (less is better)' if title == KID else ''}", xlabel="evaluations an image", xscale="log"
        )
        axes.set_xticks([1, 2, 5, 10, 20, 40], ["1", "2", "5", "10", "20", "40"])
        axes.minorticks_off()
    figure.axes[0].set_ylabel("less DDPM, 40 steps, not shared")
    names = figure.axes[0].get_legend_handles_labels()
    figure.legend(*names, loc="outside lower center", ncols=len(lines), fontsize=8, frameon=False)
    figure.savefig(path)
    return True


def _arms(interval: Interval) -> tuple[float, float]:
    """How far the interval reaches below and above its estimate; 0 where it is not known."""
    if interval.lower is None or interval.upper is None:
        return 0.0, 0.0
    return interval.estimate - interval.lower, interval.upper - interval.estimate


def _lines(comparing: Comparing) -> Iterator[Line]:
    taus = [shared(MAIN, 0, tau) for tau in TAUS]
    like = [comparing.bench.steps_like(run) for run in taus if comparing.kept(run)]
    steps = sorted({*LADDER, *like})
    yield Line("DDPM 40, shared", {"color": "C0", "marker": "o"}, taus)
    yield Line("DDPM, fewer steps", {"color": "C1", "marker": "s"}, [fewer(MAIN, 0, count) for count in steps])
    for color, (name, count) in zip(("C4", "C5"), FEW, strict=True):
        runs = [run for run in few(0) if (run.scheduler, run.steps) == (name, count)]
        yield Line(
            f"{Run(MAIN, 0, steps=count, scheduler=name).title}, shared", {"color": color, "marker": "o"}, runs
        )
    for color, name in zip(("C2", "C3"), SAMPLERS, strict=True):
        plain = [Run(MAIN, 0, steps=count, scheduler=name) for count in SAMPLER_STEPS]
        yield Line(name, {"color": color, "marker": "^"}, plain)
        on_top = [replace(run, tau=PAPERS_TAU) for run in plain]
        yield Line(f"{name}, tau {PAPERS_TAU:g}", {"color": color, "marker": "v", "linestyle": ":"}, on_top)
