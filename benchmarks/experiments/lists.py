"""The experiments: which runs each of them needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from benchmarks.experiments.prompt_sets import SETS
from benchmarks.experiments.runs import FULL, Run, standard

MAIN: Final = "templated"
"""The set of all experiments that look at one alone."""

LADDER: Final = (20, 12, 8, 4)
"""Standard steps that a measure should see."""
TAUS: Final = (0.25, 0.5, 1.0, 1.5)
"""The paper has 0.5, 1 and 1.5."""
PAPERS_TAU: Final = 1.0
SAMPLERS: Final = ("dpmpp_2m", "unipc")
SAMPLER_STEPS: Final = (5, 10, 20)
FEW: Final = (("ddpm", 8), ("dpmpp_2m", 5))
"""Samplers with so few steps that to leave one out is seen."""
FEW_TAUS: Final = (0.25, 0.5, 1.0)
LINKAGES: Final = ("ward", "average", "centroid")
BUDGETS: Final = (0.5, 0.3)

StepsLike = Callable[[Run], int]
"""How many standard steps take what a run takes, rounded up."""


def shared(set_name: str, seed: int, tau: float = PAPERS_TAU) -> Run:
    """What stands against the standard way."""
    return Run(set_name, seed, tau=tau)


def fewer(set_name: str, seed: int, steps: int) -> Run:
    """The standard way with fewer steps."""
    return Run(set_name, seed, steps=steps)


def few(seed: int) -> list[Run]:
    """Sharing where there are few steps to begin with."""
    return [Run(MAIN, seed, tau, steps=steps, scheduler=name) for name, steps in FEW for tau in FEW_TAUS]


def as_many(run: Run, steps: int) -> Run:
    """The sampler of a run, with so many steps for every prompt."""
    return Run(run.set, run.seed, steps=steps, scheduler=run.scheduler)


def dealt_out(set_name: str, seed: int) -> Run:
    """The known-bad way: equal savings along a random clustering."""
    return replace(shared(set_name, seed), clustering="random")


def again(seed: int, seeds: Sequence[int]) -> int:
    """The seed whose standard images stand beside those of `seed`, to show by how much a seed alone moves a score."""
    place = list(seeds).index(seed)
    return seeds[(place + 1) % len(seeds)] if len(seeds) > 1 else seed + 1


def _measures(seed: int, other: int, steps_like: StepsLike) -> list[Run]:
    runs = [standard(MAIN, seed), shared(MAIN, seed), dealt_out(MAIN, seed)]
    return [*runs, *(fewer(MAIN, seed, steps) for steps in LADDER[::-1])]


def _savings(seed: int, other: int, steps_like: StepsLike) -> list[Run]:
    return [run for name in SETS for run in (standard(name, seed), shared(name, seed), standard(name, other))]


def _random(seed: int, other: int, steps_like: StepsLike) -> list[Run]:
    return [dealt_out(name, seed) for name in SETS]


def _budgets(seed: int, other: int, steps_like: StepsLike) -> list[Run]:
    runs = [shared(MAIN, seed, tau) for tau in TAUS]
    return [standard(MAIN, seed), *runs, *(fewer(MAIN, seed, steps_like(run)) for run in runs)]


def _samplers(seed: int, other: int, steps_like: StepsLike) -> list[Run]:
    plain = [Run(MAIN, seed, steps=steps, scheduler=name) for steps in SAMPLER_STEPS for name in SAMPLERS]
    return [standard(MAIN, seed), *(run for one in plain for run in (one, replace(one, tau=PAPERS_TAU)))]


def _few(seed: int, other: int, steps_like: StepsLike) -> list[Run]:
    runs = few(seed)
    return [standard(MAIN, seed), *runs, *(as_many(run, steps_like(run)) for run in runs)]


def _linkages(seed: int, other: int, steps_like: StepsLike) -> list[Run]:
    return [Run(MAIN, seed, budget=budget, linkage=name) for budget in BUDGETS for name in LINKAGES]


def _noise(seed: int, other: int, steps_like: StepsLike) -> list[Run]:
    alone, together = standard(MAIN, seed), shared(MAIN, seed)
    return [alone, together, *(replace(run, initial_noise="shared") for run in (together, alone))]


EXPERIMENTS: Final[dict[str, Callable[[int, int, StepsLike], list[Run]]]] = {
    "measures": _measures,
    "samplers": _samplers,
    "budgets": _budgets,
    "few": _few,
    "savings": _savings,
    "random": _random,
    "linkages": _linkages,
    "noise": _noise,
}
"""By name, the most telling first."""


def runs_of(names: Iterable[str], seeds: Sequence[int], steps_like: StepsLike) -> list[Run]:
    """All runs of some experiments, each once: everything with the first seed, then with the next."""
    wanted = [
        run for seed in seeds for name in names for run in EXPERIMENTS[name](seed, again(seed, seeds), steps_like)
    ]
    return list(dict.fromkeys(wanted))


def per_image(evaluations: int, images: int) -> int:
    """Whole steps of the standard way that take at least as much."""
    return min(FULL, -(-evaluations // images))
