"""CLIP similarity by a model of its own: any CLIP of the hub or of a folder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hierflow.hashing import digest
from hierflow.models.placement import Placement
from hierflow.models.quiet import quiet_libraries
from hierflow.models.repository import Repository
from hierflow.models.runtime import ON_CPU, Runtime
from hierflow.scoring.clip_similarity import ClipSimilarity
from hierflow.scoring.source import locate_network, network_fingerprint


class ClipScore:
    """The cosine of CLIP's embeddings of an image and of its prompt, by a CLIP that did not make the image.

    The score is that of :class:`~hierflow.scoring.clip_similarity.ClipSimilarity`: CLIPScore without its factor and
    its clipping. It is no probability, so pairs are compared by the plain difference of their cosines; log-odds do
    not apply. A diffusion model that is conditioned on CLIP embeddings should not be judged by the same CLIP.

    Args:
        model: what the document calls the model.
        repository: where it lies.
        runtime: on what it runs.
        placement: of networks that make room for it while it works; None where there are none.
    """

    name = "clip"

    def __init__(
        self, model: str, repository: Repository, runtime: Runtime, *, placement: Placement | None = None
    ) -> None:
        self._name, self._repository, self._runtime = model, repository, runtime
        self._placement = placement or Placement(runtime.device)

    @cached_property
    def version(self) -> str:
        """Identity of the model's files and of the precision. Loads nothing."""
        return digest("hierflow clip 1", network_fingerprint(self._repository), self._runtime.dtype)

    @property
    def provenance(self) -> dict[str, str | None]:
        """What belongs beside the scores wherever they are shown; `commit` is None for a local folder."""
        return {"model": self._name, "commit": self._repository.commit, "dtype": self._runtime.dtype}

    def score(self, images: Sequence[NDArray[np.uint8]], prompts: Sequence[str]) -> list[float]:
        """The cosine of each image (uint8, height x width x 3) and the prompt beside it; errors as there."""
        with self._placement.working(*self._encoders):
            return self._similarity.score(images, prompts)

    def image_embeddings(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """The images' embeddings, each of length 1: (images, embedding). At least one image."""
        with self._placement.working(*self._encoders):
            return self._similarity.image_embeddings(images)

    @cached_property
    def _encoders(self) -> tuple[Any, Any]:
        from transformers import CLIPConfig, CLIPTextModelWithProjection, CLIPVisionModelWithProjection

        folder = self._repository.folder
        config = CLIPConfig.from_pretrained(folder, local_files_only=True)
        made = []
        for kind, tower in (
            (CLIPTextModelWithProjection, config.text_config),
            (CLIPVisionModelWithProjection, config.vision_config),
        ):
            tower.projection_dim = config.projection_dim  # many repositories say it of the whole model only
            with quiet_libraries():
                made.append(
                    kind.from_pretrained(
                        folder,
                        config=tower,
                        dtype=self._runtime.torch_dtype,
                        use_safetensors=True,
                        local_files_only=True,
                    )
                )
        return made[0], made[1]

    @cached_property
    def _similarity(self) -> ClipSimilarity:
        folder, (text, vision) = self._repository.folder, self._encoders
        with quiet_libraries():
            from transformers import AutoTokenizer, CLIPImageProcessor  # tells of a slower way without torchvision

            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            images = CLIPImageProcessor.from_pretrained(folder, local_files_only=True)
        return ClipSimilarity(text, tokenizer, vision, images, version=self.version)


def load_clip(
    model: str,
    runtime: Runtime = ON_CPU,
    *,
    revision: str | None = None,
    base: Path = Path(),
    field: str = "scoring.clip",
    placement: Placement | None = None,
) -> ClipScore:
    """CLIP similarity by a model of the hub or of a folder. Weights are loaded when something is scored.

    Args:
        model: a hub id or a folder, relative to `base`, of a `CLIPModel` (PickScore and most of OpenCLIP's are).
        runtime: on what it runs.
        revision: of the hub repository.
        base: the folder that relative folders are relative to.
        field: the document's field that names the model, for errors.
        placement: as :class:`ClipScore` takes it.

    Raises:
        InputError: there is no such model, it is no CLIP, or its weights are not safetensors.
    """
    repository = locate_network(model, revision, base, field=field, kinds={"clip"}, what="a CLIP of transformers")
    return ClipScore(model, repository, runtime, placement=placement)
