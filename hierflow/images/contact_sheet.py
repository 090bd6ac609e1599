"""A contact sheet: many images in one small picture, for a log, a report or a chat."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_GAP = 4
_PAPER = (250, 250, 248)
_CELL, _SMALLEST_CELL = 96, 8
_QUALITIES = (90, 80, 70, 60, 50, 40)  # below that a smaller cell looks better


def contact_sheet(images: Sequence[NDArray[np.uint8]], limit_bytes: int) -> bytes:
    """The images in about as many rows as columns, each in a square cell, as a JPEG of at most `limit_bytes`.

    Quality is lowered first, then the cells shrink. Images of at most half a cell are enlarged pixel by pixel.

    Args:
        images: uint8 arrays (height, width, 3), of any sizes; at least one.
        limit_bytes: the greatest size of the file.

    Raises:
        ValueError: nothing to show, or a limit that even the smallest cells exceed.
    """
    if not images:
        raise ValueError("a contact sheet needs at least one image")
    pictures = [Image.fromarray(image) for image in images]
    for cell in _cells():
        data = _encoded(_sheet(pictures, cell), limit_bytes)
        if data is not None:
            return data
    raise ValueError(f"{len(images)} images do not fit into {limit_bytes} bytes; show fewer of them")


def _cells() -> Iterator[int]:
    """Sides in pixels, the largest first."""
    cell = _CELL
    while cell > _SMALLEST_CELL:
        yield cell
        cell = cell * 4 // 5
    yield _SMALLEST_CELL


def _sheet(pictures: Sequence[Image.Image], cell: int) -> Image.Image:
    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    step = cell + _GAP
    sheet = Image.new("RGB", (columns * step + _GAP, rows * step + _GAP), _PAPER)
    for place, picture in enumerate(pictures):
        left, top = _GAP + place % columns * step, _GAP + place // columns * step
        fitted = _fitted(picture, cell)
        sheet.paste(fitted, (left + (cell - fitted.width) // 2, top + (cell - fitted.height) // 2))
    return sheet


def _fitted(picture: Image.Image, cell: int) -> Image.Image:
    scale = cell / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.LANCZOS)


def _encoded(sheet: Image.Image, limit: int) -> bytes | None:
    """The best file within `limit`, or None. The poorest is tried first: where it fails, all do."""
    if len(_file(sheet, _QUALITIES[-1])) > limit:
        return None
    files = (_file(sheet, quality) for quality in _QUALITIES)
    return next(data for data in files if len(data) <= limit)


def _file(sheet: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    sheet.save(file, "JPEG", quality=quality)
    return file.getvalue()
