"""What the set's images look like as a set: their embeddings, and which of them are blank. Each is looked at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hierflow.images import decode_png
from hierflow.stages.context import Stage
from hierflow.stages.scores import CHUNK
from hierflow.store.sealed import read_arrays, write_arrays
from hierflow.store.storage import DamagedFileError

if TYPE_CHECKING:
    from hierflow.scoring.choice import Embedder

_FILE = "looks.safetensors"


@dataclass(frozen=True)
class Looks:
    """How some images look.

    Attributes:
        embeddings: (N, D), each of length 1; D is 0 where the set has no CLIP model.
        blank: (N,) whether each shows nothing.
    """

    embeddings: npt.NDArray[np.float64]
    blank: npt.NDArray[np.bool_]


def looks_of(stage: Stage, images: Sequence[tuple[str, str]]) -> Looks:
    """The looks of images, by path and SHA-256; those that the store does not know yet are opened.

    Raises:
        FileNotFoundError: an image is gone.
    """
    version, known = _version(stage), dict[str, tuple[npt.NDArray[np.float32], bool]]()
    try:
        arrays, meta = read_arrays(stage.store.files, _FILE)
        if meta["version"] == version:
            rows = zip(arrays["embeddings"], arrays["blank"], strict=True)
            known = {sha: (row, bool(blank)) for sha, (row, blank) in zip(meta["sha256"], rows, strict=True)}
    except FileNotFoundError:
        known = {}  # nobody has looked yet
    except DamagedFileError as error:
        stage.say(f"{error}; all images are looked at again")
    new = {sha: path for path, sha in images if sha not in known}
    if new:
        known |= _looked_at(stage, new)
        kept = sorted(known)  # those of images that have gone too: they may come back
        arrays = {
            "embeddings": np.array([known[sha][0] for sha in kept], dtype=np.float32).reshape(len(kept), -1),
            "blank": np.array([known[sha][1] for sha in kept], dtype=np.uint8),
        }
        write_arrays(stage.store.files, _FILE, arrays, {"version": version, "sha256": kept}, durable=False)
    wanted = [sha for _, sha in images]
    embeddings = np.array([known[sha][0] for sha in wanted], dtype=np.float64).reshape(len(wanted), -1)
    return Looks(embeddings, np.array([known[sha][1] for sha in wanted], dtype=bool))


def _version(stage: Stage) -> str:
    return stage.scorers.versions.get(stage.scorers.embedded_by, "")


def _looked_at(stage: Stage, images: dict[str, str]) -> dict[str, tuple[npt.NDArray[np.float32], bool]]:
    from hierflow.scoring.blank import is_blank

    found: dict[str, tuple[npt.NDArray[np.float32], bool]] = {}
    embedder, hashes = stage.scorers.embedder, sorted(images)
    for start in range(0, len(hashes), CHUNK):
        chunk = hashes[start : start + CHUNK]
        pixels = [decode_png(stage.store.files.read(images[sha])) for sha in chunk]
        rows = _embedded(embedder, pixels)
        found |= {sha: (row, is_blank(image)) for sha, row, image in zip(chunk, rows, pixels, strict=True)}
    return found


def _embedded(embedder: Embedder | None, pixels: list[npt.NDArray[np.uint8]]) -> npt.NDArray[np.float32]:
    if embedder is None:
        return np.zeros((len(pixels), 0), dtype=np.float32)
    return embedder.image_embeddings(pixels).astype(np.float32)
