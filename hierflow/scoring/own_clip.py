"""CLIP similarity by the CLIP model that a diffusion model comes with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hierflow.scoring.clip_similarity import ClipSimilarity

if TYPE_CHECKING:
    from hierflow.models.adapter import Adapter


class OwnClip:
    """The cosine of CLIP's embeddings of an image and of its prompt, by the CLIP that had a part in making the image.

    It is the weaker judge of images that were made to please it. Nothing is loaded before something is scored.

    Args:
        adapter: a model that comes with a CLIP model.
    """

    name = ClipSimilarity.name

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter

    @property
    def version(self) -> str:
        """Identity of the CLIP model."""
        return self._adapter.clip_fingerprint

    def score(self, images: Sequence[NDArray[np.uint8]], prompts: Sequence[str]) -> list[float]:
        """The cosine of each image (uint8, height x width x 3) and the prompt beside it; NaN where there is none.

        Raises:
            ValueError: the two lengths differ.
        """
        with self._working() as clip:
            return clip.score(images, prompts)

    def image_embeddings(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """The embeddings of at least one image, each of length 1, or NaN: (images, embedding)."""
        with self._working() as clip:
            return clip.image_embeddings(images)

    @contextmanager
    def _working(self) -> Iterator[ClipSimilarity]:
        parts = self._adapter.clip()
        with self._adapter.placement.working(parts.text_encoder, parts.image_encoder):
            yield ClipSimilarity(*parts, version=self.version)
