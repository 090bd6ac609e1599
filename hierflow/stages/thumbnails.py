"""Images to thumbnails, where a heavy image has none: those of older runs, and those that were lost."""

from __future__ import annotations

from collections.abc import Sequence

from hierflow.images import LIGHT, ImageRow, Thumbnails, decode_png
from hierflow.stages.context import Stage


def thumbnails_of(stage: Stage, rows: Sequence[ImageRow]) -> dict[str, str]:
    """The path of every heavy image's thumbnail, by the path of the image.

    Missing thumbnails are made; no other image is read. An image that cannot be decoded has none.
    """
    files, thumbnails = stage.store.files, Thumbnails(stage.store.files)
    sizes, whole = files.sizes("images"), thumbnails.whole()
    found = {}
    for row in rows:
        if sizes.get(row.image_path, 0) <= LIGHT:
            continue
        thumbnail = whole.get(row.image_sha256[:32]) or _made(stage, thumbnails, row)
        if thumbnail:
            found[row.image_path] = thumbnail
    return found


def _made(stage: Stage, thumbnails: Thumbnails, row: ImageRow) -> str | None:
    try:
        return thumbnails.keep(row.image_sha256, decode_png(stage.store.files.read(row.image_path)))
    except (FileNotFoundError, ValueError) as error:
        stage.say(f"{row.image_path} has no thumbnail: {error}")
        return None
