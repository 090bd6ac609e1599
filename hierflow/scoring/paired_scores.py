"""Scores in pairs: the same prompt and image, made in two ways with noise keyed alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PairedScores:
    """N pairs of scores of one measure, higher being better.

    VQA scores are log-odds as they come; CLIP's cosines are compared by their plain difference likewise.

    Attributes:
        tried: float64 (N,), the scores of the way that is judged.
        standard: float64 (N,), the scores of the standard way.
        groups: str (N,), the first-level subtree of each pair's prompt. Prompts below one share steps, so that their
            scores move together.
        seeds: int (N,), what numbers the draw of noise: one number for every seed and image index. All pairs of one
            draw that share their first steps share its luck.

    Raises:
        ValueError: there is no pair, the lengths differ, or a score is not finite.
    """

    tried: NDArray[np.float64]
    standard: NDArray[np.float64]
    groups: NDArray[np.str_]
    seeds: NDArray[np.int64]

    def __post_init__(self) -> None:
        lengths = {len(self.tried), len(self.standard), len(self.groups), len(self.seeds)}
        if len(lengths) > 1:
            raise ValueError(f"pairs have as many scores, groups and seeds each, not {sorted(lengths)}")
        if lengths == {0}:
            raise ValueError("there is no pair to compare")
        if not (np.isfinite(self.tried).all() and np.isfinite(self.standard).all()):
            raise ValueError("a score is not finite")

    def __len__(self) -> int:
        return len(self.tried)

    @property
    def differences(self) -> NDArray[np.float64]:
        """(N,), positive where the way that is judged is better."""
        return self.tried - self.standard

    def where(self, mask: NDArray[np.bool_]) -> PairedScores:
        """Those of a partition, of an axis' value: bool (N,), not all False."""
        return PairedScores(self.tried[mask], self.standard[mask], self.groups[mask], self.seeds[mask])


def tie_band(again: PairedScores) -> float:
    """By how much two scores may differ and still count as equal.

    The median distance of the standard way to itself under another seed: every other new seed moves a score further
    than this, so that nobody who looks at one image can call such a difference a loss. A median, since log-odds have
    long tails, and a quarter of the pairs in them moves a mean or a high quantile at will but hardly this one. It is
    measured in the scores' own unit, so that wins do not depend on their scale. It is taken as it is, without an
    interval of its own: where it is wrong, all arms of a comparison are judged by the same wrong band.

    Args:
        again: the A/A arm, the standard way under another seed beside the standard way.

    Returns:
        At least 0; 0 where scores do not react to the seed.
    """
    return float(np.median(np.abs(again.differences)))


def wins(pairs: PairedScores, band: float) -> NDArray[np.float64]:
    """(N,): 1 where the way that is judged wins by more than `band`, 0 where it loses by more, 1/2 else."""
    differences = pairs.differences
    return np.where(differences > band, 1.0, np.where(differences < -band, 0.0, 0.5))
