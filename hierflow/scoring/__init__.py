"""How good the images are: scorers, and what compares two sets of scores."""

from hierflow.scoring.clip_similarity import ClipSimilarity
from hierflow.scoring.scorer import Scorer

__all__ = ["ClipSimilarity", "Scorer"]
