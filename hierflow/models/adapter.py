"""What the engine asks of a model family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from hierflow.conditioning import Conditioning
from hierflow.plan.identity import SamplingIdentity

if TYPE_CHECKING:
    import torch

    from hierflow.models.clip_parts import ClipParts
    from hierflow.models.placement import Placement
    from hierflow.models.repository import Repository
    from hierflow.models.runtime import Runtime
    from hierflow.models.sampler import Sampler

Tensors = Mapping[str, "torch.Tensor"]


class Adapter(Protocol):
    """One model, loaded piece by piece as it is needed.

    Conditioning travels as numpy float32 arrays with a row a prompt, so that it can be stored and averaged
    without torch; latents travel as tensors with a row a node.
    """

    runtime: Runtime

    @property
    def encoder_fingerprint(self) -> str:
        """Identity of what turns a text into conditioning."""

    @property
    def decoder_fingerprint(self) -> str:
        """Identity of what turns latents into images."""

    @property
    def rows_per_evaluation(self) -> int:
        """Network rows of one evaluation: 2 with classifier-free guidance, 1 without."""

    @property
    def identity(self) -> SamplingIdentity:
        """What decides a denoising step, besides conditioning."""

    @property
    def sampler(self) -> Sampler:
        """The sampler, with its timesteps set."""

    @property
    def network(self) -> torch.nn.Module:
        """The denoising network, on its device, for the meter."""

    @property
    def placement(self) -> Placement:
        """Which networks are on the device at the moment."""

    @property
    def safety_checker(self) -> Repository | None:
        """Where the checker lies that flags its images; None where nothing does."""

    @property
    def clip_fingerprint(self) -> str:
        """Identity of the CLIP model that it comes with; empty where it comes with none."""

    @property
    def prior_evaluations_per_prompt(self) -> int:
        """Sampling steps of the prior; 0 for families without one."""

    def warnings(self, texts: Sequence[str]) -> list[str]:
        """What a user should know about these prompts and this model, a sentence each."""

    def encode(self, texts: Sequence[str], text_hashes: Sequence[str]) -> Conditioning:
        """The conditioning of each prompt: arrays with one row a prompt."""

    def tree_embeddings(self, conditioning: Conditioning) -> npt.NDArray[np.float64]:
        """(N, D): what the tree clusters by."""

    @property
    def text_fingerprint(self) -> str:
        """Identity of the text encoder that :meth:`text_embeddings` uses.

        Raises:
            InputError: what it makes of a prompt is what the tree clusters by anyway.
        """

    def text_embeddings(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """(N, D): what the text encoder alone makes of each prompt, for families whose prior goes on from there."""

    def initial_latents(self, generators: Sequence[torch.Generator]) -> torch.Tensor:
        """Scaled initial noise, one row a generator."""

    def predict(self, latents: torch.Tensor, index: int, conditioning: Tensors) -> torch.Tensor:
        """The guided model output of evaluation number `index` (0-based), one row a node."""

    def decode(self, latents: torch.Tensor) -> list[npt.NDArray[np.uint8] | None]:
        """(H, W, 3) the image of each of the final latents (B, ...); None where its pixels are not finite."""

    def clip(self) -> ClipParts:
        """The CLIP model that it comes with, wherever it is placed at the moment."""

    def varied(self, *, negative_prompt: str | None, width: int | None, height: int | None) -> Adapter:
        """The same networks under other settings, those that are None being as they are here; made once.

        Raises:
            InputError: the model cannot draw such a size, or takes no negative prompt.
        """


def at_size(adapter: Adapter, width: int, height: int) -> Adapter:
    """The model at an image size; itself at its own.

    Raises:
        InputError: it cannot draw such a size.
    """
    own = adapter.identity
    if (width, height) == (own.width, own.height):
        return adapter
    return adapter.varied(negative_prompt=None, width=width, height=height)
