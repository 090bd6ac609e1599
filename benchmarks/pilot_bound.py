"""How often a pilot passes what it should refuse, and what it should pass, by several rules: simulated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.results import header
from hierflow.scoring.cluster_bootstrap import ClusterBootstrap
from hierflow.scoring.sampled_mean import TAIL, SampledMean

PROMPTS, SUBTREES, LOST = 2000, 40, 0.9
SAMPLES = (64, 128, 256)

Values = NDArray[np.float64]
Rule = Callable[[Values, NDArray[np.str_], float], bool]
"""Whether differences in [-1, 1], in random order, of prompts in these subtrees pass a largest loss."""


class Case(NamedTuple):
    """What sharing does to a set.

    Attributes:
        does: the words for it.
        differences: float64 (prompts,), for a largest loss; the mean is just below it, or 0.
        may_pass: whether the mean is 0.
    """

    does: str
    differences: Callable[[np.random.Generator, float], Values]
    may_pass: bool


def _single(generator: np.random.Generator, max_loss: float) -> Values:
    return generator.permutation(_together(generator, max_loss))


def _together(generator: np.random.Generator, max_loss: float) -> Values:
    """Neighbours, whole subtrees of them, are lost; so many that the mean is just too low."""
    differences = np.zeros(PROMPTS)
    differences[: int(max_loss * PROMPTS / LOST) + 1] = -LOST
    return np.roll(differences, int(generator.integers(PROMPTS)))


def _every(generator: np.random.Generator, max_loss: float) -> Values:
    differences: Values = _straying(0.2)(generator, max_loss) - max_loss - 1e-6
    return differences


def _straying(spread: float) -> Callable[[np.random.Generator, float], Values]:
    def differences(generator: np.random.Generator, max_loss: float) -> Values:
        drawn = np.clip(generator.normal(0, spread, PROMPTS), -0.8, 0.8)
        centred: Values = drawn - drawn.mean()
        return centred

    return differences


CASES = (
    Case("single images lose 0.9", _single, may_pass=False),
    Case("whole subtrees lose 0.9", _together, may_pass=False),
    Case("all lose a little, and stray by 0.2", _every, may_pass=False),
    Case("nothing is lost", _straying(0.0), may_pass=True),
    Case("nothing is lost, images stray by 0.1", _straying(0.1), may_pass=True),
    Case("nothing is lost, images stray by 0.2", _straying(0.2), may_pass=True),
)


def _by_bootstrap(differences: Values, groups: NDArray[np.str_], max_loss: float) -> bool:
    lower = ClusterBootstrap(groups, np.zeros(len(groups), dtype=np.int64)).interval(differences).lower
    return lower is not None and lower > -max_loss


def _by_bernstein(differences: Values, groups: NDArray[np.str_], max_loss: float) -> bool:
    """The empirical Bernstein bound (Maurer and Pontil, COLT 2009)."""
    n, log = len(differences), np.log(2 / TAIL)
    margin = np.sqrt(2 * differences.var(ddof=1) * log / n) + 2 * 7 * log / (3 * (n - 1))
    return bool(differences.mean() - margin > -max_loss)


def _by_betting(differences: Values, groups: NDArray[np.str_], max_loss: float) -> bool:
    """A capital that bets against the loss, without replacement (Waudby-Smith and Ramdas, JRSS B 2024).

    It is the mean of capitals that stake a fixed share of what may be staked each, and passes once it was 1 / tail.
    """
    values, known = (differences + 1) / 2, np.arange(len(differences))  # in [0, 1]
    before = np.concatenate([[0.0], np.cumsum(values)[:-1]])
    means = ((1 - max_loss) / 2 * PROMPTS - before) / (PROMPTS - known)
    shares = np.array([*np.geomspace(0.01, 0.5, 12), 0.7, 0.9, 0.999])[:, None]
    capital = np.cumprod(1 + shares * (values / means - 1), axis=1).mean(axis=0)
    return bool(capital.max() >= 1 / TAIL)


def _by_urn() -> Rule:
    known = {size: SampledMean(size, PROMPTS) for size in SAMPLES}

    def passes(differences: Values, groups: NDArray[np.str_], max_loss: float) -> bool:
        lower = known[len(differences)].interval(differences, -1.0, 1.0).lower
        return lower is not None and lower >= -max_loss

    return passes


RULES: dict[str, Rule] = {
    "cluster bootstrap": _by_bootstrap,
    "empirical Bernstein": _by_bernstein,
    "betting": _by_betting,
    "Polya urn": _by_urn(),
}


def rates(case: Case, max_loss: float, size: int, times: int) -> Iterator[float]:
    """How often each rule passes samples of `size` prompts, each of a set of its own."""
    generator, subtrees = np.random.default_rng(0), np.sort(np.arange(PROMPTS) % SUBTREES).astype(str)
    passed = dict.fromkeys(RULES, 0)
    for _ in range(times):
        differences, rows = case.differences(generator, max_loss), generator.permutation(PROMPTS)[:size]
        for name, rule in RULES.items():
            passed[name] += rule(differences[rows], subtrees[rows], max_loss)
    return (count / times for count in passed.values())


@click.command()
@click.option("--times", default=400, show_default=True, help="Sets that are simulated for each figure.")
def main(times: int) -> None:
    """Print a table: for each case, the share of samples of 64, 128 and 256 prompts that pass, by rule."""
    print(header(["may lose", "what sharing does", "may pass", *RULES]))
    for max_loss in (0.01, 0.05):
        for case in CASES:
            by_size = [list(rates(case, max_loss, size, times)) for size in SAMPLES]
            cells = [" / ".join(f"{rate:.3f}" for rate in rule) for rule in zip(*by_size, strict=True)]
            print(f"| {max_loss:g} | {case.does} | {'yes' if case.may_pass else '0.025'} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
