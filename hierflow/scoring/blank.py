"""Which images show nothing: a decoder that overflowed, a blackened image, a flat colour."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FAINT = 6
"""Levels, of 0 .. 255, by which a pixel may stray from the image's median colour and still look like it."""

SPECKS = 0.005
"""The share of pixels that may stray further and still be specks; a line two pixels wide across an image of 256 x 256
is more. (The standard deviation, which a few specks raise at will, and the entropy, which faint noise raises, each
miss one of the two.)"""


def is_blank(image: NDArray[np.uint8]) -> bool:
    """Whether an image is one colour, but for faint noise and a few specks.

    Args:
        image: uint8 (height, width, 3), not empty.
    """
    pixels = image.reshape(-1, image.shape[-1]).astype(np.int16)
    strays = np.abs(pixels - np.median(pixels, axis=0)).max(axis=1) > FAINT
    return float(strays.mean()) < SPECKS
