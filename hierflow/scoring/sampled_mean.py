"""What a random sample of a set says of the mean over the whole set, where single values may be as bad as can be."""

from __future__ import annotations

from bisect import bisect_left
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom

from hierflow.hashing import seed_from
from hierflow.scoring.cluster_bootstrap import CONFIDENCE, DRAWS, Interval

TAIL = (1 - CONFIDENCE) / 2
"""How often the truth may lie beyond one bound."""


class SampledMean:
    """Intervals for the mean of a set's bounded values, of which a sample without replacement is known.

    The values that are not known are drawn by a Polya urn, which holds the sample and one value more, the worst that
    there can be: each is like one of the urn's, and joins it. So what the sample lacks by chance has its weight. (A
    bootstrap takes a sample that drew none of the few bad images for a proof that there are none.)

    Where a value is either good or the worst, the bound is the exact one of the hypergeometric distribution; where
    the sample is the whole set, it is the mean itself; of an endless set it is Gaffke's (Mathematical Methods of
    Statistics 2005; Learned-Miller and Thomas, arXiv:1905.06208), which is not known to fail for any distribution,
    and not proved for all. `python -m benchmarks.pilot_bound` simulates it beside bounds that are.

    Which values move together has no say: the set is what it is, and chance is in the draw of the sample alone.

    Args:
        sampled: how many values are known, at least 1.
        whole: how many there are, at least as many.
    """

    def __init__(self, sampled: int, whole: int) -> None:
        self._sampled, self._whole = sampled, whole

    def interval(self, values: NDArray[np.float64], lowest: float, highest: float) -> Interval:
        """The mean of `values` and where that of the whole set lies, in any order of theirs.

        Args:
            values: float64, as many as were sampled.
            lowest: what a value can be at least.
            highest: what it can be at most.

        Returns:
            Each bound is wrong at most (1 - :data:`~hierflow.scoring.cluster_bootstrap.CONFIDENCE`) / 2 of the time.
        """
        ordered = np.sort(values)
        lower = np.quantile(self._means(ordered, lowest), TAIL, method="inverted_cdf")
        upper = np.quantile(self._means(ordered, highest), 1 - TAIL, method="inverted_cdf")
        return Interval(float(values.mean()), float(lower), float(upper))

    def _means(self, values: NDArray[np.float64], extreme: float) -> NDArray[np.float64]:
        """(draws,) means that the whole set may have."""
        means: NDArray[np.float64] = (values.sum() + self._unknown @ np.append(values, extreme)) / self._whole
        return means

    @cached_property
    def _unknown(self) -> NDArray[np.float64]:
        """How often each draw of the rest has each known value, and the one more: (draws, sampled + 1).

        An urn's draws are those of a multinomial distribution whose chances are uniform on the simplex.
        """
        generator = np.random.default_rng(seed_from("hierflow sampled mean 1", self._sampled, self._whole))
        chances = generator.dirichlet(np.ones(self._sampled + 1), DRAWS)
        return generator.multinomial(self._whole - self._sampled, chances).astype(np.float64)


def least_sample(whole: int, loss: float) -> int:
    """The values that must be known, if none of them is a loss, to say that the mean loss of all is at most `loss`.

    For a large set that is the rule of three (here 3.7, one bound of two), 3.7 / `loss`.

    Args:
        whole: how many values there are.
        loss: what the mean may lose, of 1 that a value can lose.
    """
    lost = min(int(loss * whole) + 1, whole)  # so many lost wholly are too many
    return bisect_left(range(whole), True, key=lambda known: bool(hypergeom.pmf(0, whole, lost, known) <= TAIL))
