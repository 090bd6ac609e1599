"""Judge the pictures of a hierflow manifest by the attributes that their prompts mention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from hierflow.mini.catalogue.backgrounds import PICTURE_SIZE
from hierflow.mini.catalogue.grammar import ATTRIBUTE_NAMES, ParsedPrompt, parse_prompt
from hierflow.mini.judges.classifier import AttributeClassifier, classify


@dataclass(frozen=True)
class ManifestPictures:
    """The manifest's pictures that are there and whose prompts belong to the mini world."""

    images: NDArray[np.uint8]
    wanted: list[ParsedPrompt]
    missing: int
    foreign: int


def read_manifest(path: Path) -> ManifestPictures:
    """Read the columns `prompt` and `image_path`; paths are absolute or relative to the manifest's folder.

    Pictures of another size are scaled to 64 x 64. Rows without a picture on disk are counted as missing, rows
    whose prompt the grammar cannot have written as foreign.
    """
    table = pq.read_table(path, columns=["prompt", "image_path"]).to_pydict()
    images, wanted, missing, foreign = [], [], 0, 0
    for text, image_path in zip(table["prompt"], table["image_path"], strict=True):
        picture_file = path.parent / image_path if image_path else None
        if picture_file is None or not picture_file.is_file():
            missing += 1
            continue
        try:
            wanted.append(parse_prompt(text))
        except ValueError:
            foreign += 1
            continue
        images.append(_read_picture(picture_file))
    stacked = np.stack(images) if images else np.zeros((0, PICTURE_SIZE, PICTURE_SIZE, 3), np.uint8)
    return ManifestPictures(stacked, wanted, missing, foreign)


def _read_picture(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as picture:
        rgb = picture.convert("RGB")
    if rgb.size != (PICTURE_SIZE, PICTURE_SIZE):
        rgb = rgb.resize((PICTURE_SIZE, PICTURE_SIZE), Image.Resampling.LANCZOS)
    return np.asarray(rgb)


def mentioned_accuracy(
    images: NDArray[np.uint8],
    wanted: Sequence[ParsedPrompt],
    classifier: AttributeClassifier | None = None,
) -> dict[str, float | None]:
    """Return, by attribute, the share read as wanted among the pictures whose prompt mentions it.

    None stands for an attribute that no prompt mentions; "all" is the share of pictures with every mentioned
    attribute right.
    """
    targets = _targets(wanted)
    mentioned, right = targets >= 0, classify(images, classifier) == targets
    shares: dict[str, float | None] = {
        name: float(right[mentioned[:, column], column].mean()) if mentioned[:, column].any() else None
        for column, name in enumerate(ATTRIBUTE_NAMES)
    }
    shares["all"] = float((right | ~mentioned).all(axis=1).mean()) if len(wanted) else None
    return shares


def mentioned_right(
    images: NDArray[np.uint8],
    wanted: Sequence[ParsedPrompt],
    classifier: AttributeClassifier | None = None,
) -> NDArray[np.bool_]:
    """Return which pictures have every mentioned attribute right, (N,)."""
    targets = _targets(wanted)
    return np.asarray(((classify(images, classifier) == targets) | (targets < 0)).all(axis=1))


def _targets(wanted: Sequence[ParsedPrompt]) -> NDArray[np.int64]:
    targets = np.array([[-1 if value is None else value for value in row] for row in wanted], np.int64)
    return targets.reshape(len(wanted), len(ATTRIBUTE_NAMES))


def evaluate_manifest(path: Path) -> dict[str, Mapping[str, float | None]]:
    """Return one row for the manifest's pictures, which counts the rows it had to leave out."""
    pictures = read_manifest(path)
    name = f"{len(pictures.wanted)} pictures ({pictures.missing} missing, {pictures.foreign} of other prompts)"
    return {name: mentioned_accuracy(pictures.images, pictures.wanted)}
