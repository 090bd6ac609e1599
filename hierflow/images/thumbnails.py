"""Thumbnails: a small file beside every heavy image, so that a page of thousands stays light."""

from __future__ import annotations

import io
import re
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hierflow.store.storage import Storage

LIGHT = 64_000
"""Up to so many bytes an image is its own thumbnail."""
_SIDE, _QUALITY = 320, 78
_FOLDER = f"thumbnails/{_SIDE}"
_NAME = re.compile(r"([0-9a-f]{32})-(\d+)\.webp")


class Thumbnails:
    """The thumbnails of one image set: `thumbnails/320/<32 digits of the image's SHA-256>-<bytes>.webp`.

    They are named by the image they show, written once and never changed. The name also tells the file's size, so
    that a listing shows which of them are whole, and no file has to be read for it.

    Args:
        storage: the set's folder.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def keep(self, sha256: str, pixels: NDArray[np.uint8]) -> str:
        """Store the thumbnail of the image whose file has that checksum; returns its path.

        Args:
            sha256: 64 hex digits of the image file's bytes.
            pixels: uint8, shape (height, width, 3).
        """
        data = make_thumbnail(pixels)
        path = f"{_FOLDER}/{sha256[:32]}-{len(data)}.webp"
        self._storage.write(path, data)
        return path

    def whole(self) -> dict[str, str]:
        """The paths of the thumbnails that have their size, by the first 32 digits of their image's SHA-256."""
        found = {}
        for path, size in self._storage.sizes(_FOLDER).items():
            name = _NAME.fullmatch(PurePosixPath(path).name)
            if name and int(name[2]) == size:
                found[name[1]] = path
        return found


def make_thumbnail(pixels: NDArray[np.uint8]) -> bytes:
    """A WebP file of at most 320 pixels a side, some kilobytes; smaller images keep their size.

    Args:
        pixels: uint8, shape (height, width, 3).
    """
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    picture.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "WEBP", quality=_QUALITY, method=4)
    return file.getvalue()
