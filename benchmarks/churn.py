"""What it costs that a set changes: `python -m benchmarks.churn --prompts FOLDER --work FOLDER [--figure FILE]`.

Evaluations a night, replayed ones included, after a share of the prompts was replaced, of four ways to go on:

* starting over: every step of a fresh tree;
* content caching: a fresh tree every night, and whatever a store already holds of it is reused;
* alone: the new prompts as a set of their own;
* pinned: what hierflow does.

Then thirty nights of 1 % one after the other, with new prompts drawn as the founding ones were, and from clusters
that the tree has never seen: regret (planned over a fresh tree's, less 1) and drift (the same for mean mismatch).
FOLDER of `--prompts` holds the paper's `prompt_templates.txt` and `style_variations.txt`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.attaching import RULES, attached_by
from benchmarks.nights import STEPS, Fresh, Pinned, Vectors
from benchmarks.prompt_sets import LivingSet, mini_catalogue, prompt_templates, style_variations
from hierflow.hashing import text_hash
from hierflow.tree import EmbeddingTree

CHANGES = (0.001, 0.01, 0.1)
TOLERANCES = (0.5, 0.9, 2.0)
NIGHTS = 30
DAILY = 0.01


class Embedded(NamedTuple):
    """A living set, by text hash."""

    name: str
    founding: list[str]
    newcomers: dict[str, list[str]]
    vectors: Vectors


class Night(NamedTuple):
    """One night of a pinned tree.

    Attributes:
        executed, replayed: evaluations.
        alone: those of the new prompts as a set of their own.
        fresh: those of starting over.
        regret, drift: against a fresh tree.
    """

    executed: int
    replayed: int
    alone: int
    fresh: int
    regret: float
    drift: float


def embedded(living: LivingSet, nights: int) -> Embedded:
    """The embeddings of whoever may occur in `nights` nights, or in one of the largest change."""
    most = max(nights * _count(DAILY, living.founding), _count(CHANGES[-1], living.founding))
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


def price(living: Embedded, tau: float, tolerance: float, share: float, draws: int) -> dict[str, float]:
    """The mean evaluations of one night in which `share` of the prompts is replaced by ones drawn alike."""
    founding, count = Fresh(living.founding, living.vectors), _count(share, living.founding)
    first_night = founding.store(tau)
    found: list[dict[str, float]] = []
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        new = rng.choice(living.newcomers["alike"], size=count, replace=False).tolist()
        stay = rng.permutation(living.founding)[count:].tolist()
        work = Pinned(founding, tau, tolerance, first_night.copy()).change([*stay, *new], living.vectors)
        fresh = Fresh([*stay, *new], living.vectors)
        cached = first_night.copy().run(fresh.planted, fresh.plan(tau)).executed
        found.append(
            {
                "over": fresh.plan(tau).evaluations,
                "cached": cached,
                "alone": _alone(new, living.vectors, tau),
                "pinned": work.executed,
                "replayed": work.replayed,
            }
        )
    return {name: float(np.mean([each[name] for each in found])) for name in found[0]}


def _alone(texts: Sequence[str], vectors: Vectors, tau: float) -> int:
    return EmbeddingTree.from_embeddings(np.stack([vectors[text] for text in texts])).plan(tau, STEPS).evaluations


def lives(
    living: Embedded, kind: str, taus: Sequence[float], tolerances: Sequence[float], nights: int
) -> dict[tuple[float, float], list[Night]]:
    """What `nights` nights cost at every tau and tolerance; new prompts are of `kind`."""
    rng = np.random.default_rng(0)
    live, count = list(living.founding), _count(DAILY, living.founding)
    founding = Fresh(live, living.vectors)
    trees = {
        (tau, tolerance): Pinned(founding, tau, tolerance, founding.store(tau))
        for tau in taus
        for tolerance in tolerances
    }
    found: dict[tuple[float, float], list[Night]] = {setting: [] for setting in trees}
    for night in range(nights):
        new = living.newcomers[kind][night * count : (night + 1) * count]
        live = [*rng.permutation(live)[len(new) :].tolist(), *new]
        fresh = Fresh(live, living.vectors)
        for (tau, tolerance), pinned in trees.items():
            work, plan = pinned.change(live, living.vectors), fresh.plan(tau)
            found[tau, tolerance].append(
                Night(
                    work.executed,
                    work.replayed,
                    _alone(new, living.vectors, tau),
                    plan.evaluations,
                    pinned.plan.evaluations / plan.evaluations - 1,
                    pinned.mismatch / fresh.mismatch(plan) - 1,
                )
            )
    return found


def price_rows(living: Embedded, taus: Sequence[float], draws: int) -> Iterator[str]:
    """One row a tau and change, at the default tolerance."""
    for tau in taus:
        for share in CHANGES:
            if share * len(living.founding) < 0.5:
                continue
            cost = price(living, tau, 0.9, share, draws)
            yield (
                f"| {living.name} | {tau:g} | {share:.1%} | {_count(share, living.founding):,} | {cost['over']:,.0f} "
                f"| {cost['cached']:,.0f} | {cost['alone']:,.0f} | {cost['pinned']:,.0f} | {cost['replayed']:,.0f} "
                f"| {cost['pinned'] / cost['over']:.2%} | {cost['pinned'] / cost['alone']:.0%} |"
            )


def life_row(name: str, kind: str, tau: float, tolerance: float, nights: Sequence[Night]) -> str:
    """What the nights of one setting came to."""
    executed, replayed, alone, fresh = (
        sum(night[place] for night in nights) for place in range(4)
    )  # fmt: skip
    last = nights[-1]
    return (
        f"| {name} | {kind} | {tau:g} | {tolerance:g} | {executed / fresh:.2%} | {executed / alone:.0%} "
        f"| {replayed / executed:.0%} | {last.regret:+.1%} | {last.drift:+.1%} |"
    )


def draw_figure(curves: dict[tuple[str, float], list[Night]], title: str, path: Path) -> None:
    """Regret and drift over the nights, a line for every kind of newcomer and tolerance."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import PercentFormatter

    figure, panels = plt.subplots(1, 2, figsize=(9, 3.4), constrained_layout=True)
    shades = {"alike": plt.get_cmap("Blues"), "unseen": plt.get_cmap("Oranges")}
    for place, (panel, name) in enumerate(zip(panels, ("regret", "drift"), strict=True)):
        for (kind, tolerance), nights in curves.items():
            depth = 0.45 + 0.25 * TOLERANCES.index(tolerance)
            days = range(len(nights) + 1)
            values = [0.0, *(getattr(night, name) for night in nights)]
            panel.plot(days, values, color=shades[kind](depth), label=f"{kind}, tolerance {tolerance:g}", lw=1.6)
        panel.set(title=name, xlabel="nights of 1 % change", xlim=(0, NIGHTS))
        panel.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        panel.axhline(0, color="0.75", lw=0.8, zorder=0)
        panel.grid(axis="y", color="0.93")
        panel.spines[["top", "right"]].set_visible(False)
        if place == 0:
            panel.legend(frameon=False, fontsize=8)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    """Print both tables, and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--prompts", type=Path, help="folder of the paper's prompt sets; without it they are left out"
    )
    parser.add_argument("--work", type=Path, help="folder for the mini set's embeddings; without it that is left out")
    parser.add_argument("--tau", type=float, nargs="+", default=[0.6, 1.0])
    parser.add_argument("--draws", type=int, default=5, help="nights that the first table averages over")
    parser.add_argument("--nights", type=int, default=NIGHTS)
    parser.add_argument("--figure", type=Path, help="where the figure goes; it shows the first set at the last tau")
    parser.add_argument("--attach", choices=RULES, default=RULES[0], help="another rule for where grafts go")
    arguments = parser.parse_args()
    with attached_by(arguments.attach):
        _measure(arguments)


def _measure(arguments: argparse.Namespace) -> None:
    sets = [prompt_templates(arguments.prompts), style_variations(arguments.prompts)] if arguments.prompts else []
    sets += [mini_catalogue(arguments.work)] if arguments.work else []
    found = [embedded(living, arguments.nights) for living in sets]
    print("| set | tau | changed | prompts | starting over | content caching | alone | pinned | of which replayed "
          "| pinned / starting over | pinned / alone |\n|---|---|---|---|---|---|---|---|---|---|---|")  # fmt: skip
    for living in found:
        for row in price_rows(living, arguments.tau, arguments.draws):
            print(row, flush=True)
    print("\n| set | new prompts | tau | tolerance | a night / starting over | a night / alone | replayed | regret "
          "| drift |\n|---|---|---|---|---|---|---|---|---|")  # fmt: skip
    for place, living in enumerate(found):
        curves = {}
        for kind in living.newcomers:
            for (tau, tolerance), nights in lives(living, kind, arguments.tau, TOLERANCES, arguments.nights).items():
                print(life_row(living.name, kind, tau, tolerance, nights), flush=True)
                if tau == arguments.tau[-1]:
                    curves[kind, tolerance] = nights
        if place == 0 and arguments.figure:
            draw_figure(curves, f"{living.name}, tau {arguments.tau[-1]:g}", arguments.figure)


if __name__ == "__main__":
    main()
