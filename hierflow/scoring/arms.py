"""The arms beside sharing: does the measure leave equals alone, and does it see what is known to be bad?"""

from __future__ import annotations

from dataclasses import dataclass

from hierflow.scoring.comparison import Comparison, compare
from hierflow.scoring.paired_scores import PairedScores, tie_band

BROKEN = 1.7
"""How many times wider than its interval an A/A arm may stray: about a normal distribution's .999 over its .95."""


@dataclass(frozen=True)
class ArmComparisons:
    """Three comparisons with the standard way, by one measure and one band.

    Attributes:
        shared: of what sharing made.
        again: of the standard way under another seed (A/A). A win rate of 1/2 is expected.
        shuffled: of sharing along a random clustering, the known-bad way.
    """

    shared: Comparison
    again: Comparison
    shuffled: Comparison

    @property
    def fault(self) -> str | None:
        """Why this measure may not be used here, in a sentence; None if it may.

        A measure that sees nothing is not used. That an honest one is off by more than its interval happens once in
        twenty times; it is called broken where it is off by :data:`BROKEN` times that, as happens once in a thousand.
        """
        if self.again.win_rate.widened(BROKEN).excludes(0.5):
            return (
                "the measure is broken: the standard way under another seed has a win rate over itself of "
                f"{self.again.win_rate}, and 0.5 is expected"
            )
        if self.shuffled.win_rate.upper is None:
            return "whether the measure sees anything cannot be told from so few first-level subtrees"
        if self.shuffled.win_rate.upper >= 0.5:
            return (
                "the measure sees nothing here: even a random clustering is not seen as worse, at a win rate of "
                f"{self.shuffled.win_rate} in {self.shuffled.pairs} pairs"
            )
        return None


def compare_arms(shared: PairedScores, again: PairedScores, shuffled: PairedScores) -> ArmComparisons:
    """Compare all three arms, with the tie band of the A/A arm.

    Args:
        shared: what sharing made, beside the standard way.
        again: the standard way under another seed, beside the standard way.
        shuffled: sharing along a random clustering, beside the standard way.
    """
    band = tie_band(again)
    return ArmComparisons(compare(shared, band), compare(again, band), compare(shuffled, band))
