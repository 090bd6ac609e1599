"""What it costs that a set changes: `python -m benchmarks.churn --work FOLDER [--prompts FOLDER] [--figure FILE]`.

Evaluations a night, replayed ones included, after a share of the prompts was replaced, of four ways to go on:

* starting over: every step of a fresh tree;
* content caching: a fresh tree every night, and whatever a store already holds of it is reused;
* alone: the new prompts as a set of their own;
* pinned: what hierflow does.

Then thirty nights of 1 % one after the other, with new prompts drawn as the founding ones were, and from clusters
that the tree has never seen: regret (planned over a fresh tree's, less 1) and drift (the same for mean mismatch).
FOLDER of `--prompts` holds the paper's `prompt_templates.txt` and `style_variations.txt`; these need WordLlama. What
is done lies in the FOLDER of `--work`, and a second call goes on from there.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.attaching import RULES, attached_by
from benchmarks.churn_figure import draw_figure
from benchmarks.nights import STEPS, Fresh, Night, Pinned, Price, Vectors
from benchmarks.prompt_sets import LivingSet, mini_catalogue, prompt_templates, style_variations
from benchmarks.results import header, kept
from hierflow.hashing import text_hash
from hierflow.spec import SharingSpec
from hierflow.tree import EmbeddingTree

CHANGES = (0.001, 0.01, 0.1)
TOLERANCES = (0.5, 0.9, 1.3, 2.0)
TOLERANCE = SharingSpec().graft_tolerance
TAU = SharingSpec().tau
DRAWS = 5
"""How many nights a price is the mean of."""
NIGHTS = 30
DAILY = 0.01

PRICE_COLUMNS = (
    "set", "tau", "changed", "prompts", "starting over", "content caching", "alone", "pinned", "of which replayed",
    "pinned / starting over", "pinned / alone",
)  # fmt: skip
LIFE_COLUMNS = (
    "set", "new prompts", "tau", "tolerance", "all nights / starting over", "all nights / alone", "of which replayed",
    "regret at the end", "drift at the end",
)  # fmt: skip


class Embedded(NamedTuple):
    """A living set, by text hash."""

    name: str
    founding: list[str]
    newcomers: dict[str, list[str]]
    vectors: Vectors


def embedded(living: LivingSet) -> Embedded:
    """The embeddings of whoever may occur in all nights, or in one of the largest change."""
    most = max(NIGHTS * _count(DAILY, living.founding), _count(CHANGES[-1], living.founding))
    newcomers = {"alike": living.alike[:most], "unseen": living.unseen[:most]}
    texts = [*living.founding, *newcomers["alike"], *newcomers["unseen"]]
    hashes = {text: text_hash(text) for text in texts}
    vectors = dict(zip(hashes.values(), living.encode(list(hashes)), strict=True))
    return Embedded(
        living.name,
        [hashes[text] for text in living.founding],
        {kind: [hashes[text] for text in own] for kind, own in newcomers.items()},
        vectors,
    )


def _count(share: float, prompts: Sequence[str]) -> int:
    return max(1, round(share * len(prompts)))


def price(living: Embedded, tau: float, tolerance: float, share: float) -> Price:
    """The mean evaluations of a night in which `share` of the prompts is replaced by ones drawn alike."""
    founding, count = Fresh(living.founding, living.vectors), _count(share, living.founding)
    first_night = founding.store(tau)
    found: list[Price] = []
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        new = rng.choice(living.newcomers["alike"], size=count, replace=False).tolist()
        live = [*rng.permutation(living.founding)[count:].tolist(), *new]
        work = Pinned(founding, tau, tolerance, first_night.copy()).change(live, living.vectors)
        fresh = Fresh(live, living.vectors)
        cached = first_night.copy().run(fresh.planted, fresh.plan(tau)).executed
        over, alone = fresh.plan(tau).evaluations, _alone(new, living.vectors, tau)
        found.append(Price(count, over, cached, alone, work.executed, work.replayed))
    return Price(*np.mean(found, axis=0).tolist())


def _alone(texts: Sequence[str], vectors: Vectors, tau: float) -> int:
    return EmbeddingTree.from_embeddings(np.stack([vectors[text] for text in texts])).plan(tau, STEPS).evaluations


def life(living: Embedded, kind: str, tau: float, tolerance: float) -> list[Night]:
    """The nights of a tree that is kept; new prompts are of `kind`."""
    rng = np.random.default_rng(0)
    live, count = list(living.founding), _count(DAILY, living.founding)
    founding = Fresh(live, living.vectors)
    pinned = Pinned(founding, tau, tolerance, founding.store(tau))
    nights = []
    for night in range(NIGHTS):
        new = living.newcomers[kind][night * count : (night + 1) * count]
        live = [*rng.permutation(live)[len(new) :].tolist(), *new]
        work, fresh = pinned.change(live, living.vectors), Fresh(live, living.vectors)
        plan, alone = fresh.plan(tau), _alone(new, living.vectors, tau)
        regret = pinned.plan.evaluations / plan.evaluations - 1
        drift = pinned.mismatch / fresh.mismatch(plan) - 1
        nights.append(Night(work.executed, work.replayed, alone, plan.evaluations, regret, drift))
    return nights


def price_row(name: str, tau: float, share: float, cost: Price) -> str:
    """A row of the first table."""
    return (
        f"| {name} | {tau:g} | {share:.1%} | {cost.prompts:,.0f} | {cost.over:,.0f} "
        f"| {cost.cached:,.0f} | {cost.alone:,.0f} | {cost.pinned:,.0f} | {cost.replayed:,.0f} "
        f"| {cost.pinned / cost.over:.2%} | {cost.pinned / cost.alone:.0%} |"
    )


def life_row(name: str, kind: str, tau: float, tolerance: float, nights: Sequence[Night]) -> str:
    """A row of the second table: what the nights of one setting came to."""
    executed, replayed, alone, fresh = np.sum([night[:4] for night in nights], axis=0).tolist()
    last = nights[-1]
    return (
        f"| {name} | {kind} | {tau:g} | {tolerance:g} | {executed / fresh:.2%} | {executed / alone:.0%} "
        f"| {replayed / executed:.0%} | {last.regret:+.1%} | {last.drift:+.1%} |"
    )


class Bench:
    """The measurements of one rule, kept in a folder."""

    def __init__(self, work: Path, rule: str) -> None:
        self.work, self.rule = work, rule

    def prices(self, living: Embedded, tau: float, tolerance: float) -> Iterator[tuple[float, Price]]:
        """The price of each change that is at least half a prompt."""
        for share in CHANGES:
            if share * len(living.founding) >= 0.5:
                path = self._path("price", living.name, share, tau, tolerance)
                yield share, Price(*kept(path, partial(price, living, tau, tolerance, share)))

    def life(self, living: Embedded, kind: str, tau: float, tolerance: float) -> list[Night]:
        """The nights of one setting."""
        path = self._path("life", living.name, kind, tau, tolerance)
        return [Night(*night) for night in kept(path, partial(life, living, kind, tau, tolerance))]

    def _path(self, *parts: object) -> Path:
        return self.work / ("_".join(map(str, (*parts, self.rule))) + ".json")


def main() -> None:
    """Print both tables, and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for results and the mini set's embeddings")
    parser.add_argument("--prompts", type=Path, help="folder of the paper's prompt sets; else the mini set alone")
    parser.add_argument("--tau", type=float, nargs="+", default=[0.6, TAU])
    parser.add_argument("--tolerance", type=float, nargs="+", default=TOLERANCES)
    parser.add_argument("--at", type=float, default=TOLERANCE, help="the tolerance of the first table and the figure")
    parser.add_argument("--attach", choices=RULES, default=RULES[0], help="another rule for where grafts go")
    parser.add_argument("--figure", type=Path, help="where the first set's figure goes, at the default tau")
    arguments = parser.parse_args()
    bench, folder = Bench(arguments.work, arguments.attach), arguments.prompts
    sets = [prompt_templates(folder), style_variations(folder)] if folder else []
    found = [embedded(living) for living in (*sets, mini_catalogue(arguments.work))]
    with attached_by(arguments.attach):
        print(header(PRICE_COLUMNS))
        for living in found:
            for tau in arguments.tau:
                for share, cost in bench.prices(living, tau, arguments.at):
                    print(price_row(living.name, tau, share, cost), flush=True)
        print(f"\n{header(LIFE_COLUMNS)}")
        for living in found:
            for kind in living.newcomers:
                for tau in arguments.tau:
                    for tolerance in arguments.tolerance:
                        nights = bench.life(living, kind, tau, tolerance)
                        print(life_row(living.name, kind, tau, tolerance, nights), flush=True)
        if arguments.figure:
            shown = found[0]
            lives = {kind: bench.life(shown, kind, TAU, arguments.at) for kind in shown.newcomers}
            draw_figure(len(shown.founding), dict(bench.prices(shown, TAU, arguments.at)), lives, arguments.figure)


if __name__ == "__main__":
    main()
