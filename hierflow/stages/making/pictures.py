"""Opening image files of the set's folder: what is damaged counts as lost."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hierflow.images import decode_png
from hierflow.stages.context import Stage


def opened(stage: Stage, path: str) -> npt.NDArray[np.uint8] | None:
    """The pixels of an image file, uint8 (height, width, 3); None if it is damaged.

    Then its file is told of and deleted. What is there is read off listings, so that from then on the image is lost
    for everybody, and whoever needs it next makes it again.

    Args:
        stage: the set.
        path: of the file, relative to the set's folder.

    Raises:
        FileNotFoundError: it is gone.
    """
    found = _read(stage, path)
    return found.pixels if found else None


def bytes_of(stage: Stage, path: str) -> bytes | None:
    """The bytes of an image file that can be opened; of one that cannot, what :func:`opened` gives or raises."""
    found = _read(stage, path)
    return found.data if found else None


class _Picture(NamedTuple):
    data: bytes
    pixels: npt.NDArray[np.uint8]


def _read(stage: Stage, path: str) -> _Picture | None:
    files = stage.store.files
    data = files.read(path)
    try:
        return _Picture(data, decode_png(data))
    except ValueError as error:
        stage.say(f"{files.url(path)} is damaged ({error}); it is deleted, and made again when it is needed")
        files.delete(path)
        return None
