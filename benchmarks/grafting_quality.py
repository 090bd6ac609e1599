"""What grafting costs in quality, where it can be measured: `python -m benchmarks.grafting_quality --work FOLDER`.

A catalogue of the mini model's world is founded, some of its prompts go, and newcomers come: half of them drawn
alike, half of them products that the tree has never seen. Every newcomer is generated twice, grafted on the founding
tree and on a fresh tree over the same live prompts, and the attribute classifier reads both images. Only newcomers'
paths are denoised. What is done lies in FOLDER, and a second call goes on from there.

Pairs that were grafted together share steps, and so their luck: the bound is a bootstrap over grafts, not over pairs.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.attaching import RULES
from benchmarks.grafting_pairs import Outcome, Setting, compare
from benchmarks.results import header, kept
from hierflow.mini.catalogue.grammar import ATTRIBUTE_NAMES

MARGIN = 0.02
"""Grafting is non-inferior if it loses less than this share of images."""

COLUMNS = (
    "rule", "tau", "tolerance", "days", "newcomers", "pairs",
    "all five right, fresh", "grafted less fresh", "bound", "within .02",
    "attributes right, fresh", "grafted less fresh", "bound", "within .02",
    "evaluations each", "mismatch", "regret",
)  # fmt: skip
"""Pairs of figures are grafted / fresh."""

Float = npt.NDArray[np.float64]


def lower_bound(difference: Float, groups: Sequence[Any], draws: int = 4000) -> float:
    """The one-sided 95 % bound of a mean difference, by a bootstrap over the groups its pairs fall in."""
    _, group = np.unique(np.array(groups), axis=0, return_inverse=True)
    sums, sizes = np.bincount(group.ravel(), weights=difference), np.bincount(group.ravel())
    chosen = np.random.default_rng(0).integers(len(sums), size=(draws, len(sums)))
    return float(np.quantile(sums[chosen].sum(axis=1) / sizes[chosen].sum(axis=1), 0.05))


def _all_right(right: Float) -> Float:
    whole: Float = (right == len(ATTRIBUTE_NAMES)).astype(np.float64)
    return whole


def _mean_right(right: Float) -> Float:
    mean: Float = right / len(ATTRIBUTE_NAMES)
    return mean


class Family(NamedTuple):
    """The outcomes of one setting over all its seeds, one value a newcomer.

    Attributes:
        grafted, fresh: (n,) how many attributes are right.
        alike: (n,) whether the newcomer was drawn as the founding prompts were.
        groups: the seed and the graft of each newcomer.
    """

    grafted: Float
    fresh: Float
    alike: npt.NDArray[np.bool_]
    groups: list[tuple[int, int]]

    def figures(self, chosen: npt.NDArray[np.bool_]) -> str:
        """Cells for all five attributes right, and for the mean attribute: fresh, difference, its bound, verdict."""
        groups = [group for group, take in zip(self.groups, chosen, strict=True) if take]
        cells = [f"{chosen.sum():,}"]
        for share in (_all_right, _mean_right):
            fresh = share(self.fresh[chosen])
            difference = share(self.grafted[chosen]) - fresh
            bound = lower_bound(difference, groups)
            verdict = "yes" if bound > -MARGIN else "no"
            cells += [f"{fresh.mean():.3f}", f"{difference.mean():+.3f}", f"{bound:+.3f}", verdict]
        return " | ".join(cells)


def rows_of(outcomes: Sequence[tuple[Setting, Outcome]]) -> Iterator[str]:
    """The table's rows: of every setting all newcomers of all seeds, then those drawn alike and those unseen."""
    families: dict[tuple[Any, ...], list[tuple[Setting, Outcome]]] = {}
    for setting, outcome in outcomes:
        key = (setting.tau, setting.attach, setting.tolerance, setting.days)
        families.setdefault(key, []).append((setting, outcome))
    for (tau, attach, tolerance, days), found in families.items():
        family = Family(
            np.concatenate([o.grafted for _, o in found]).astype(np.float64),
            np.concatenate([o.fresh for _, o in found]).astype(np.float64),
            np.concatenate([np.arange(len(o.graft)) < len(o.graft) // 2 for _, o in found]),
            [(s.seed, graft) for s, o in found for graft in o.graft],
        )
        cost = [sum(o.evaluations[side] for _, o in found) / len(family.fresh) for side in (0, 1)]
        mismatch = [np.mean([o.mismatch[side] for _, o in found]) for side in (0, 1)]
        regret = np.mean([o.regret for _, o in found])
        plans = f"{cost[0]:.1f} / {cost[1]:.1f} | {mismatch[0]:.2f} / {mismatch[1]:.2f} | {regret:+.1%}"
        kinds = {"all": np.ones(len(family.fresh), dtype=bool), "alike": family.alike, "unseen": ~family.alike}
        for name, chosen in kinds.items():
            rest = plans if name == "all" else " | | "
            yield f"| {attach} | {tau:g} | {tolerance:g} | {days} | {name} | {family.figures(chosen)} | {rest} |"


def main() -> None:
    """Compare what has not been compared yet, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for states and outcomes")
    parser.add_argument("--tau", type=float, nargs="+", default=[0.6])
    parser.add_argument("--tolerance", type=float, nargs="+", default=[0.9])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--days", type=int, default=1)
    parser.add_argument("--newcomers", type=int, default=200)
    parser.add_argument("--attach", choices=RULES, default=RULES[0])
    arguments = parser.parse_args()
    outcomes = []
    for tau in arguments.tau:
        for tolerance in arguments.tolerance:
            for seed in arguments.seeds:
                setting = Setting(
                    tau, tolerance, seed, arguments.days, arguments.attach, newcomers=arguments.newcomers
                )
                found = kept(arguments.work / setting.file, partial(compare, setting, arguments.work))
                outcomes.append((setting, Outcome(*found)))
    print(header(COLUMNS))
    for row in rows_of(outcomes):
        print(row, flush=True)


if __name__ == "__main__":
    main()
