"""What a scorer is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@runtime_checkable
class Scorer(Protocol):
    """Something that says how good an image is for its prompt.

    A score must depend on nothing but the image, the prompt and the scorer's version: not on what else is
    scored beside it. Scores are kept under `name` and made again when `version` changes.
    """

    @property
    def name(self) -> str:
        """The key of its scores in the manifest."""

    @property
    def version(self) -> str:
        """Changes whenever a score could."""

    def score(self, images: Sequence[NDArray[np.uint8]], prompts: Sequence[str]) -> list[float]:
        """One number for each image and the prompt beside it; NaN, for that image alone, where there is none.

        Args:
            images: uint8 (height, width, 3), red green blue, of any sizes.
            prompts: as many texts.

        Raises:
            ValueError: the two lengths differ.
        """
