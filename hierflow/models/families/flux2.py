"""FLUX.2: a language model's middle layers as the text encoder, and a transformer on normalised patches."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hierflow.conditioning import Conditioning
from hierflow.errors import InputError
from hierflow.models.adapter import Tensors
from hierflow.models.families.conversation import own_tokens, seen_by
from hierflow.models.families.packed import PackedLatents
from hierflow.models.loaded import LoadedModel
from hierflow.models.runtime import FIXED_BATCH, Runtime
from hierflow.models.source import ModelSource
from hierflow.spec import DiffusionSpec

if TYPE_CHECKING:
    import torch

_READS = 512


class _Flux2(PackedLatents):
    """What dev and klein have in common.

    Latents are (B, C, h, w) here, as the pipelines take them for `latents`; within they travel as a sequence of
    patches, and are normalised statistics of the VAE until they are decoded. The tree clusters by the mean of the
    embeddings of a text's own tokens: the rest of the conversation around it is the same for every prompt.
    """

    takes_negative = False
    reads = _READS

    def encoder_settings(self) -> list[Any]:
        """The length every conversation is padded to."""
        return [_READS]

    def encoded(self, texts: list[str], text_hashes: Sequence[str]) -> dict[str, torch.Tensor]:
        """`prompt_embeds` (B, L, 3E) of three layers, and `pooled` (B, 3E), their mean over the texts' own tokens."""
        import torch

        with seen_by(self.loaded.encoder.text_encoder) as seen:
            embeds = self._embedded(texts)
        ids, mask = seen["input_ids"], seen["attention_mask"]
        own = [own_tokens(row, real, self._of_nothing[1]) for row, real in zip(ids, mask, strict=True)]
        pooled = torch.stack([row[places].float().mean(dim=0) for row, places in zip(embeds, own, strict=True)])
        return {"prompt_embeds": embeds, "pooled": pooled}

    def tree_embeddings(self, conditioning: Conditioning) -> npt.NDArray[np.float64]:
        """The means over the texts' own tokens."""
        return conditioning["pooled"].astype(np.float64)

    @abstractmethod
    def tokens(self, reader: Any, text: str) -> int:
        """How many tokens the conversation about `text` has."""

    def initial_latents(self, generators: Sequence[torch.Generator]) -> torch.Tensor:
        """Initial noise, (B, C, h, w); no flow scheduler scales it."""
        from diffusers.utils.torch_utils import randn_tensor

        shape = (len(generators), *self._shape)
        drawn: torch.Tensor = randn_tensor(
            shape, list(generators), device=self.device, dtype=self.runtime.torch_dtype
        )
        return drawn

    def predict(self, latents: torch.Tensor, index: int, conditioning: Tensors) -> torch.Tensor:
        """The guided model output of evaluation number `index` (0-based), one row a node."""
        return super().predict(latents, index, conditioning).permute(0, 2, 1).reshape(latents.shape)

    def _embedded(self, texts: list[str]) -> torch.Tensor:
        made: torch.Tensor = self.loaded.encoder.encode_prompt(texts, device=self.device, max_sequence_length=_READS)[
            0
        ]
        return made

    @cached_property
    def _of_nothing(self) -> tuple[torch.Tensor, list[int]]:
        """Embeddings (L, 3E) of the empty text, and the tokens of the conversation around every text."""
        with seen_by(self.loaded.encoder.text_encoder) as seen:
            embeds = self._embedded([""] * FIXED_BATCH)
        return embeds[0], seen["input_ids"][0][seen["attention_mask"][0].bool()].tolist()

    def _timesteps_of(self, scheduler: Any) -> Callable[[], None]:
        from diffusers.pipelines.flux2.pipeline_flux2 import compute_empirical_mu

        steps, (_, height, width) = self.spec.steps, self._shape
        sigmas, mu = np.linspace(1.0, 1 / steps, steps), compute_empirical_mu(height * width, steps)
        return lambda: scheduler.set_timesteps(sigmas=sigmas, device=self.runtime.device, mu=mu)

    @property
    def _shape(self) -> tuple[int, int, int]:
        multiple = self.size_multiple
        return int(self.config("transformer")["in_channels"]), self.height // multiple, self.width // multiple


class Flux2Dev(_Flux2):
    """`Flux2Pipeline`, whose transformer takes its guidance as an input."""

    names = ("prompt_embeds",)
    rows_per_evaluation = 1

    def __init__(
        self, source: ModelSource, spec: DiffusionSpec, runtime: Runtime, loaded: LoadedModel | None = None
    ) -> None:
        super().__init__(source, spec, runtime, loaded)
        if source.repository.classes["tokenizer"][1] == "PixtralProcessor" and find_spec("torchvision") is None:
            raise InputError(
                "has a text processor that needs torchvision, which is not installed",
                field="diffusion.model",
                value=source.name,
                remedy="install it: pip install torchvision",
            )

    def tokens(self, reader: Any, text: str) -> int:
        """How many tokens the conversation about `text` has, the makers' instructions included."""
        from diffusers.pipelines.flux2.pipeline_flux2 import format_input

        said = reader.apply_chat_template(format_input([text]), tokenize=True, return_dict=True)
        return len(said["input_ids"][0])


class Flux2Klein(_Flux2):
    """`Flux2KleinPipeline`, guided away from the empty text; the distilled ones do without guidance."""

    def __init__(
        self, source: ModelSource, spec: DiffusionSpec, runtime: Runtime, loaded: LoadedModel | None = None
    ) -> None:
        super().__init__(source, spec, runtime, loaded)
        if self._is_distilled:
            self.forgo_guidance()

    @property
    def names(self) -> tuple[str, ...]:  # type: ignore[override]
        """The empty text is shown only to models that are guided away from it."""
        return ("prompt_embeds",) if self._is_distilled else ("prompt_embeds", "negative_prompt_embeds")

    def encoded(self, texts: list[str], text_hashes: Sequence[str]) -> dict[str, torch.Tensor]:
        """The same, and for models that are guided `negative_prompt_embeds` (B, L, 3E) of the empty text."""
        made = super().encoded(texts, text_hashes)
        if self._is_distilled:
            return made
        away = self._of_nothing[0]
        return {**made, "negative_prompt_embeds": away.expand(len(texts), *away.shape)}

    def tokens(self, reader: Any, text: str) -> int:
        """How many tokens the conversation about `text` has, up to its end."""
        said = reader.apply_chat_template([{"role": "user", "content": text}], tokenize=False)
        return len(reader(said).input_ids)

    @cached_property
    def _is_distilled(self) -> bool:
        return bool(self.source.repository.index.get("is_distilled"))
