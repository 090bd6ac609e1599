"""What the set's images look like as a set: their embeddings, and which of them are blank. Each is looked at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from hierflow.plan.compiled import CompiledPlan
from hierflow.stages.context import Stage
from hierflow.stages.making.pictures import opened
from hierflow.stages.making.scores import CHUNK
from hierflow.stages.quality.measuring import measuring
from hierflow.store.sealed import read_arrays, write_arrays
from hierflow.store.storage import DamagedFileError

if TYPE_CHECKING:
    from hierflow.scoring.choice import Embedder

_FILE = "looks.safetensors"


class Look(NamedTuple):
    """How one image looks.

    Attributes:
        embedding: (D,), of length 1; not finite where the model gives none. D is 0 where the set has no CLIP model.
        blank: whether it shows nothing.
    """

    embedding: npt.NDArray[np.float32]
    blank: bool


@dataclass(frozen=True)
class Looks:
    """How images look.

    Attributes:
        of: the look of each, by SHA-256.
    """

    of: Mapping[str, Look]

    def compares(self, image: str) -> bool:
        """Whether an image, by SHA-256, was looked at and has an embedding to compare it with others by."""
        return image in self.of and bool(np.isfinite(self.of[image].embedding).all())

    def embeddings(self, images: Sequence[str]) -> npt.NDArray[np.float64]:
        """(N, D), those of some images, by SHA-256."""
        return _stacked([self.of[sha].embedding for sha in images]).astype(np.float64)


def looks_of(stage: Stage, compiled: CompiledPlan, images: Sequence[tuple[str, str]]) -> Looks:
    """The looks of images, by path and SHA-256; those that the store does not know yet are opened.

    An image that is damaged has none.

    Raises:
        FileNotFoundError: an image is gone.
    """
    version, known = _version(stage), dict[str, Look]()
    try:
        arrays, meta = read_arrays(stage.store.files, _FILE)
        if meta["version"] == version:
            rows = zip(arrays["embeddings"], arrays["blank"], strict=True)
            known = {sha: Look(row, bool(blank)) for sha, (row, blank) in zip(meta["sha256"], rows, strict=True)}
    except FileNotFoundError:
        known = {}  # nobody has looked yet
    except DamagedFileError as error:
        stage.say(f"{error}; all images are looked at again")
    unknown = {sha: path for path, sha in images if sha not in known}
    if unknown:
        with measuring(stage, compiled):
            new = _looked_at(stage, unknown)
        known |= new
        kept = sorted(known)  # those of images that have gone too: they may come back
        arrays = {
            "embeddings": _stacked([known[sha].embedding for sha in kept]),
            "blank": np.array([known[sha].blank for sha in kept], dtype=np.uint8),
        }
        write_arrays(stage.store.files, _FILE, arrays, {"version": version, "sha256": kept}, durable=False)
    return Looks({sha: known[sha] for _, sha in images if sha in known})


def _stacked(embeddings: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """(N, D); of no images (0, 0)."""
    return np.stack(embeddings) if embeddings else np.zeros((0, 0), dtype=np.float32)


def _version(stage: Stage) -> str:
    return stage.scorers.versions.get(stage.scorers.embedded_by, "")


def _looked_at(stage: Stage, images: Mapping[str, str]) -> dict[str, Look]:
    """The looks of images by SHA-256, of which the path is given."""
    from hierflow.scoring.blank import is_blank

    found: dict[str, Look] = {}
    embedder, hashes = stage.scorers.embedder, sorted(images)
    for start in range(0, len(hashes), CHUNK):
        chunk = hashes[start : start + CHUNK]
        read = {sha: opened(stage, images[sha]) for sha in chunk}
        pixels = {sha: image for sha, image in read.items() if image is not None}
        if pixels:
            rows = _embedded(embedder, list(pixels.values()))
            looked_at = zip(pixels.items(), rows, strict=True)
            found |= {sha: Look(row, bool(is_blank(image))) for (sha, image), row in looked_at}
    for sha in found:
        if not Looks(found).compares(sha):
            stage.say(f"{images[sha]} has no finite embedding, and is compared with no other image")
    return found


def _embedded(embedder: Embedder | None, pixels: list[npt.NDArray[np.uint8]]) -> npt.NDArray[np.float32]:
    if embedder is None:
        return np.zeros((len(pixels), 0), dtype=np.float32)
    return embedder.image_embeddings(pixels).astype(np.float32)
