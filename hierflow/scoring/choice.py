"""Which scores a set's images are given, and by what."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hierflow.scoring.scorer import Scorer
from hierflow.spec import ScoringSpec

if TYPE_CHECKING:
    from hierflow.models.adapter import Adapter

COMPARED = ("vqa", "clip_similarity")
"""The scores that say how well an image shows its prompt; the best one first."""


class Scorers:
    """The scorers of a document. Nothing is loaded before it scores.

    Args:
        spec: the document's section.
        adapter: the diffusion model, which may bring scorers of its own.
        base: the folder that relative paths are relative to.
    """

    def __init__(self, spec: ScoringSpec, adapter: Adapter, base: Path) -> None:
        self._spec, self._adapter, self._base = spec, adapter, base

    @cached_property
    def versions(self) -> dict[str, str]:
        """Identity of every score that images are given, by its name."""
        return dict(self._adapter.scorer_versions)

    @property
    def compared(self) -> list[str]:
        """The scores that shared and standard images are compared by, the best one first."""
        return [name for name in COMPARED if name in self.versions]

    def of(self, name: str) -> Scorer:
        """What gives images the score `name`, one of :attr:`versions`."""
        return self._adapter.scorer_of(name)
