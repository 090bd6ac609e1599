"""A safety check as a score: what the checker says of an image is recorded, and the image stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hierflow.hashing import digest
from hierflow.models.batches import padded_batches
from hierflow.models.placement import Placement
from hierflow.models.quiet import quiet_libraries
from hierflow.models.repository import Repository
from hierflow.models.runtime import FIXED_BATCH, Runtime


class SafetyCheck:
    """Scores 1 for an image that a `StableDiffusionSafetyChecker` takes offence at, else 0.

    The checker sees batches of one fixed size, the last one padded, so that a score does not depend on its
    neighbours.

    Args:
        repository: where the checker lies.
        runtime: on what it runs.
        placement: of the model's networks, which make room for it while it works.
    """

    name = "flagged"

    def __init__(self, repository: Repository, runtime: Runtime, placement: Placement) -> None:
        self._repository, self._runtime, self._placement = repository, runtime, placement

    @cached_property
    def version(self) -> str:
        """Identity of the checker."""
        return digest("hierflow safety check 1", self._repository.fingerprint(""), self._runtime.dtype)

    def score(self, images: Sequence[NDArray[np.uint8]], prompts: Sequence[str]) -> list[float]:
        """1.0 or 0.0 for each image; prompts have no say.

        Raises:
            ValueError: the two lengths differ.
        """
        import torch
        from PIL import Image

        if len(images) != len(prompts):
            raise ValueError(f"{len(images)} images for {len(prompts)} prompts")
        flags: list[float] = []
        with quiet_libraries(), self._placement.working(self._checker), torch.no_grad():
            for rows, live in padded_batches(len(images), FIXED_BATCH):
                shown = [Image.fromarray(images[row]) for row in rows]
                pixels = self._processor(images=shown, return_tensors="pt").pixel_values
                blackened = np.zeros((len(rows), 1))  # what it does to the images it is given is not wanted
                _, offended = self._checker(pixels.to(self._runtime.device, self._runtime.torch_dtype), blackened)
                flags += [float(flag) for flag in offended[:live]]
        return flags

    @cached_property
    def _checker(self) -> Any:
        from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker

        with quiet_libraries():
            loaded = StableDiffusionSafetyChecker.from_pretrained(
                self._repository.folder,
                dtype=self._runtime.torch_dtype,
                use_safetensors=True,
                local_files_only=True,
            )
        return loaded.eval()

    @cached_property
    def _processor(self) -> Any:
        from transformers import CLIPImageProcessor

        if (self._repository.folder / "preprocessor_config.json").is_file():
            return CLIPImageProcessor.from_pretrained(self._repository.folder, local_files_only=True)
        side = int(self._repository.config("", "config.json")["vision_config"]["image_size"])
        return CLIPImageProcessor(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
