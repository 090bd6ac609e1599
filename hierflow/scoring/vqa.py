"""VQAScore: how sure is a model that reads images that this one shows what the prompt says?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hierflow.errors import InputError
from hierflow.hashing import digest
from hierflow.models.batches import Batch, padded_batches
from hierflow.models.placement import Placement
from hierflow.models.quiet import quiet_libraries
from hierflow.models.repository import Repository
from hierflow.models.runtime import FIXED_BATCH, ON_CPU, Runtime
from hierflow.scoring.answer import ANSWER
from hierflow.scoring.image_text_model import ImageTextModel
from hierflow.scoring.question import TEMPLATE
from hierflow.scoring.source import locate_network, network_fingerprint


class VqaScore:
    """The log-odds that the answer to "Does this figure show {prompt}?" is yes.

    VQAScore (Lin et al., ECCV 2024, arXiv:2404.01291) is the probability p itself; log p - log(1 - p) orders images
    alike and does not crowd near 0 and 1. Any `AutoModelForImageTextToText` serves, with or without an encoder of its
    own for the question. Scores of different models or templates cannot be compared.

    Nothing is ever padded: questions of one length about images of one size form a batch, since the mask over a
    padded question changes a score's last bits with its neighbours. Where bits are promised, a batch that is not
    full repeats its last row. So a score does not depend on what is scored beside it (to the bit with float32 on a
    CPU, else within rounding). The more images one call is given, the fuller its batches.

    Args:
        model: what the document calls the model.
        repository: where it lies.
        runtime: on what it runs; bits are promised where it has a fixed batch.
        template: the question, with `{prompt}` where the prompt goes.
        field: the document's field that names the model, for errors.
        placement: of networks that make room for the model while it works; None where there are none.

    Raises:
        InputError: the template has no place for the prompt.
    """

    name = "vqa"

    def __init__(
        self,
        model: str,
        repository: Repository,
        runtime: Runtime,
        *,
        template: str = TEMPLATE,
        field: str = "scoring.vqa",
        placement: Placement | None = None,
    ) -> None:
        if "{prompt}" not in template:
            raise InputError(
                "has no place for the prompt", field=field, value=template, remedy="write {prompt} where it goes"
            )
        self._name, self._repository, self._runtime = model, repository, runtime
        self._template = template
        self._model = ImageTextModel(model, repository, runtime, template, field)
        self._placement = placement or Placement(runtime.device)

    @cached_property
    def version(self) -> str:
        """Identity of the model's files, the question, the answer and the precision. Loads nothing."""
        asked = (self._template, ANSWER, self._runtime.dtype, FIXED_BATCH)
        return digest("hierflow vqa 1", network_fingerprint(self._repository), *asked)

    @property
    def provenance(self) -> dict[str, str | None]:
        """What belongs beside the scores wherever they are shown; `commit` is None for a local folder."""
        return {
            "model": self._name,
            "commit": self._repository.commit,
            "template": self._template,
            "answer": ANSWER,
            "dtype": self._runtime.dtype,
        }

    def score(self, images: Sequence[NDArray[np.uint8]], prompts: Sequence[str]) -> list[float]:
        """The log-odds for each image (uint8, height x width x 3) and the prompt beside it; NaN where there are none.

        Raises:
            ValueError: the two lengths differ.
            InputError: the model cannot be asked; see :class:`~hierflow.scoring.question.Question`.
        """
        import torch
        from PIL import Image

        if len(images) != len(prompts):
            raise ValueError(f"{len(images)} images for {len(prompts)} prompts")
        if not images:
            return []
        scores: NDArray[np.float64] = np.empty(len(images))
        with quiet_libraries(), self._placement.working(self._model.network), torch.no_grad():
            for rows, live in self._batches(images, prompts):
                asked = [
                    self._model.question.inputs(Image.fromarray(images[row]), prompts[row]) for row in rows[:live]
                ]
                asked += asked[-1:] * (len(rows) - live)
                scores[rows[:live]] = self._model.log_odds(asked)[:live].cpu().numpy()
        return [float(score) for score in scores]

    def _batches(self, images: Sequence[NDArray[np.uint8]], prompts: Sequence[str]) -> Iterator[Batch]:
        """Batches of rows whose inputs have one shape."""
        alike: dict[tuple[int, ...], list[int]] = {}
        for row, (image, prompt) in enumerate(zip(images, prompts, strict=True)):
            alike.setdefault((*image.shape, self._model.question.length(prompt)), []).append(row)
        for _, members in sorted(alike.items()):
            for places, live in padded_batches(len(members), FIXED_BATCH):
                rows = [members[place] for place in places]
                yield (rows, live) if self._runtime.fixed_batch is not None else (rows[:live], live)


def load_vqa(
    model: str,
    runtime: Runtime = ON_CPU,
    *,
    revision: str | None = None,
    base: Path = Path(),
    template: str = TEMPLATE,
    field: str = "scoring.vqa",
    placement: Placement | None = None,
) -> VqaScore:
    """VQAScore with a model of the hub or of a folder. Weights are loaded when something is scored.

    Args:
        model: a hub id or a folder, relative to `base`, of any image-text-to-text model of transformers.
        runtime: on what it runs, and whether bits are promised.
        revision: of the hub repository.
        base: the folder that relative folders are relative to.
        template: the question, with `{prompt}` where the prompt goes.
        field: the document's field that names the model, for errors.
        placement: as :class:`VqaScore` takes it.

    Raises:
        InputError: there is no such model, it does not read images, or its weights are not safetensors.
    """
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    kinds = MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
    repository = locate_network(
        model, revision, base, field=field, kinds=kinds, what="an image-text-to-text model of transformers"
    )
    return VqaScore(model, repository, runtime, template=template, field=field, placement=placement)
