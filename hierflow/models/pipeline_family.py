"""What a family says of itself: its conditioning, its sizes, and how it encodes a batch of texts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from hierflow.conditioning import Conditioning
from hierflow.errors import InputError
from hierflow.models.loaded import LoadedModel
from hierflow.models.runtime import Runtime
from hierflow.models.size import image_size
from hierflow.models.source import ModelSource
from hierflow.spec import DiffusionSpec

if TYPE_CHECKING:
    import torch


class PipelineFamily(ABC):
    """A model of a family, under the settings of one document.

    A family says what conditioning its pipeline takes (:attr:`names`), how a batch of texts becomes that
    (:meth:`encoded`), and which sizes it can draw (:attr:`size_multiple`, :attr:`usual_size`); most need no more.

    Args:
        source: where the model lies.
        spec: how it samples.
        runtime: on what it runs.
        loaded: its networks, where another setting of the same model has them already.
    """

    names: ClassVar[tuple[str, ...]]
    """The conditioning that the pipeline's call takes, by the names of its arguments."""
    takes_negative: ClassVar[bool] = True
    """Whether `negative_prompt` means anything to the family."""
    pipeline_sets_schedule: ClassVar[bool] = False
    """Whether the timesteps depend on more than their number, so that only the pipeline can set them."""
    text_parts: ClassVar[tuple[str, ...]] = ()
    """The encoders that embed a text, for families whose tree clusters by what a prior makes of that."""
    reader: ClassVar[str] = "tokenizer"
    """The tokenizer whose encoder reads the most of a prompt."""

    def __init__(
        self, source: ModelSource, spec: DiffusionSpec, runtime: Runtime, loaded: LoadedModel | None = None
    ) -> None:
        if spec.negative_prompt is not None and not self.takes_negative:
            raise InputError(
                f"means nothing to {source.family.title}, which is guided without a negative prompt",
                field="diffusion.negative_prompt",
                value=spec.negative_prompt,
                remedy="leave it out",
            )
        self.source, self.spec, self.runtime = source, spec, runtime
        self.loaded = loaded or LoadedModel(source, runtime)
        usual = source.family.guidance_scale
        self.guidance_scale = usual if spec.guidance_scale is None else spec.guidance_scale
        self.height, self.width = image_size(spec, self.usual_size, self.size_multiple, self.largest_side)

    @property
    @abstractmethod
    def size_multiple(self) -> int:
        """What both sides of an image must be multiples of."""

    @property
    @abstractmethod
    def usual_size(self) -> tuple[int, int]:
        """Height and width the model was made for."""

    @property
    def largest_side(self) -> int | None:
        """The most pixels a side can have; None where nothing limits it."""
        return None

    @abstractmethod
    def encoded(self, texts: list[str], text_hashes: Sequence[str]) -> dict[str, torch.Tensor]:
        """The conditioning of a batch of texts, a row a text, on any device and in any precision.

        Arrays beyond :attr:`names` may be there for :meth:`tree_embeddings`; the pipeline does not see them.
        """

    @abstractmethod
    def tree_embeddings(self, conditioning: Conditioning) -> npt.NDArray[np.float64]:
        """(N, D): what the tree clusters by."""

    def text_embedded(self, texts: list[str]) -> torch.Tensor:
        """(B, D) what :attr:`text_parts` make of a batch of texts, on any device and in any precision."""
        raise NotImplementedError(f"{type(self).__name__} has no text_parts")

    @property
    def reads(self) -> int | None:
        """The tokens of a prompt that are read; None for as many as :attr:`reader` says."""
        return None

    def tokens(self, reader: Any, text: str) -> int:
        """How many tokens of :attr:`reader` the encoder has to read for a text."""
        return len(reader(text).input_ids)

    def encoder_settings(self) -> list[Any]:
        """What besides encoders and precision decides the conditioning, as JSON."""
        return []

    def nothing(self, rows: int) -> dict[str, torch.Tensor]:
        """Conditioning of no meaning, for calls that only make initial noise, decode or set a schedule."""
        return {name: self.zeros(rows, 1, 1) for name in self.names}

    @property
    def call(self) -> dict[str, Any]:
        """The arguments of every call of the pipeline."""
        return {
            "height": self.height,
            "width": self.width,
            "num_inference_steps": self.spec.steps,
            "guidance_scale": self.guidance_scale,
        }

    def config(self, component: str) -> dict[str, Any]:
        """The configuration of a network of the model's own repository."""
        return self.source.repository.config(component, "config.json")

    def zeros(self, *shape: int) -> torch.Tensor:
        """Zeros on the device, in the networks' precision."""
        import torch

        return torch.zeros(*shape, device=self.runtime.device, dtype=self.runtime.torch_dtype)

    @property
    def device(self) -> torch.device:
        """What the networks run on."""
        import torch

        return torch.device(self.runtime.device)
