"""Images to thumbnails, where a heavy image has none: those of older runs, and those that were lost."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import PurePosixPath

from hierflow.images import LIGHT, Thumbnails, decode_png
from hierflow.stages.context import Stage


def thumbnails_of(stage: Stage, images: Collection[tuple[str, str]]) -> dict[str, str]:
    """The path of every heavy image's thumbnail, by the path of the image.

    Missing thumbnails are made; no other image is read. An image that is gone or cannot be decoded has none.

    Args:
        stage: the set.
        images: paths and SHA-256 of the images.
    """
    thumbnails = Thumbnails(stage.store.files)
    sizes, whole = dict[str, int](), thumbnails.whole()
    for folder in {PurePosixPath(path).parts[0] for path, _ in images}:
        sizes |= stage.store.files.sizes(folder)
    found = {}
    for path, sha256 in images:
        if sizes.get(path, 0) <= LIGHT:
            continue
        thumbnail = whole.get(sha256[:32]) or _made(stage, thumbnails, path, sha256)
        if thumbnail:
            found[path] = thumbnail
    return found


def _made(stage: Stage, thumbnails: Thumbnails, path: str, sha256: str) -> str | None:
    try:
        data = stage.store.files.read(path)
    except FileNotFoundError as error:
        stage.say(f"{path} has no thumbnail: {error}")
        return None
    try:
        pixels = decode_png(data)
    except ValueError as error:
        stage.say(f"{path} has no thumbnail: {error}")
        return None
    return thumbnails.keep(sha256, pixels)
