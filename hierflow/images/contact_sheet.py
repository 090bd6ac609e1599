"""A contact sheet: many images in one small picture, for a log, a report or a chat."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Picture = NDArray[np.uint8] | Image.Image

_GAP = 4
_PAPER, _INK = (250, 250, 248), (70, 70, 68)
_SMALLEST_CELL, _SMALLEST_LABELLED = 8, 56
_QUALITIES = (90, 80, 70, 60, 50, 40)  # of JPEG and WebP; below that a smaller cell looks better


def contact_sheet(
    images: Sequence[Picture],
    labels: Sequence[str] = (),
    columns: int | None = None,
    cell: int = 96,
    limit_bytes: int = 100_000,
    format: str = "JPEG",  # noqa: A002 - Pillow's own word
) -> bytes:
    """The images in rows, each fitted into a square cell, as one file of at most `limit_bytes`.

    Quality is lowered first, then the cells shrink; labels are cut with an ellipsis, and left out once the
    cells are too small to read them. Images of at most half a cell are enlarged pixel by pixel.

    Args:
        images: uint8 arrays (height, width, 3) or Pillow images, of any sizes; at least one.
        labels: one for each image, or none.
        columns: images in a row; by default about as many as there are rows.
        cell: the side of a cell in pixels, before shrinking.
        limit_bytes: the greatest size of the file.
        format: "JPEG", "WEBP" or "PNG".

    Raises:
        ValueError: nothing to show, labels that do not match, or a limit that even the smallest cells exceed.
    """
    if not images:
        raise ValueError("a contact sheet needs at least one image")
    if labels and len(labels) != len(images):
        raise ValueError(f"{len(labels)} labels for {len(images)} images")
    pictures = [_picture(image) for image in images]
    columns = min(columns or math.ceil(math.sqrt(len(pictures))), len(pictures))
    for side in _sides(cell):
        data = _encoded(_sheet(pictures, labels, columns, side), format, limit_bytes)
        if data is not None:
            return data
    raise ValueError(f"{len(images)} images do not fit into {limit_bytes} bytes; show fewer of them")


def _picture(image: Picture) -> Image.Image:
    return (image if isinstance(image, Image.Image) else Image.fromarray(image)).convert("RGB")


def _sides(cell: int) -> Iterator[int]:
    while cell > _SMALLEST_CELL:
        yield cell
        cell = cell * 4 // 5
    yield _SMALLEST_CELL


def _sheet(pictures: Sequence[Image.Image], labels: Sequence[str], columns: int, cell: int) -> Image.Image:
    labelled = bool(labels) and cell >= _SMALLEST_LABELLED
    font = ImageFont.load_default(max(9, cell // 9))
    line = math.ceil(font.getbbox("Ågjpqy…")[3]) + 2 if labelled else 0
    rows = math.ceil(len(pictures) / columns)
    across, down = cell + _GAP, cell + line + _GAP
    sheet = Image.new("RGB", (columns * across + _GAP, rows * down + _GAP), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for place, picture in enumerate(pictures):
        left, top = _GAP + place % columns * across, _GAP + place // columns * down
        fitted = _fitted(picture, cell)
        sheet.paste(fitted, (left + (cell - fitted.width) // 2, top + (cell - fitted.height) // 2))
        if labelled:
            draw.text((left, top + cell + 1), _cut(labels[place], font, cell), _INK, font)
    return sheet


def _fitted(picture: Image.Image, cell: int) -> Image.Image:
    scale = cell / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.LANCZOS)


def _cut(label: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    text = " ".join(label.split())
    if font.getlength(text) <= width:
        return text
    keep = next((n for n in range(min(len(text), width), 0, -1) if font.getlength(text[:n] + "…") <= width), 0)
    return text[:keep].rstrip() + "…"


def _encoded(sheet: Image.Image, format: str, limit: int) -> bytes | None:  # noqa: A002
    """The best file within `limit`, or None. The poorest is tried first: where it fails, all do."""
    if format.upper() == "PNG":
        data = _file(sheet, "PNG")
        return data if len(data) <= limit else None
    if len(_file(sheet, format, quality=_QUALITIES[-1])) > limit:
        return None
    files = (_file(sheet, format, quality=quality) for quality in _QUALITIES)
    return next(data for data in files if len(data) <= limit)


def _file(sheet: Image.Image, format: str, **options: int | bool) -> bytes:  # noqa: A002
    file = io.BytesIO()
    sheet.save(file, format, **options)
    return file.getvalue()
