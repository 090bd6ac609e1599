"""A diffusers pipeline as an adapter: everything that families have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from hierflow.conditioning import Conditioning
from hierflow.models.adapter import Tensors
from hierflow.models.batches import Batches, padded_batches
from hierflow.models.clip_parts import ClipParts
from hierflow.models.pipeline_identity import PipelineIdentity
from hierflow.models.placement import Placement
from hierflow.models.prompt_length import too_long
from hierflow.models.quiet import quiet_libraries
from hierflow.models.repository import Repository
from hierflow.models.runtime import FIXED_BATCH
from hierflow.models.tap import TappedPipeline

if TYPE_CHECKING:
    import torch


class PipelineAdapter(PipelineIdentity):
    """An :class:`~hierflow.models.adapter.Adapter` around an unmodified diffusers pipeline.

    Everything the engine asks for is here or in :class:`PipelineIdentity`; what differs between families,
    :class:`~hierflow.models.pipeline_family.PipelineFamily` asks of them.
    """

    prior_evaluations_per_prompt: int = 0
    clip_fingerprint: str = ""
    """Identity of the CLIP model that it comes with; empty where it comes with none."""

    @property
    def network(self) -> torch.nn.Module:
        """The denoising network, on its device."""
        self._place_denoiser()
        network: torch.nn.Module = getattr(self.loaded.denoiser, self.source.family.denoiser[0])
        return network

    def varied(self, *, negative_prompt: str | None, width: int | None, height: int | None) -> Self:
        """The same networks under other settings, those that are None being as they are here; made once.

        Raises:
            InputError: the model cannot draw such a size, or takes no negative prompt.
        """
        asked = {"negative_prompt": negative_prompt, "width": width, "height": height}
        changes = {name: value for name, value in asked.items() if value is not None}
        if all(getattr(self.spec, name) == value for name, value in changes.items()):
            return self
        key = (negative_prompt, width, height)
        if key not in self._variants:
            spec = self.spec.model_copy(update=changes)
            self._variants[key] = type(self)(self.source, spec, self.runtime, self.loaded)
        return self._variants[key]

    def warnings(self, texts: Sequence[str]) -> list[str]:
        """A sentence for each LoRA that is added only in part, and if prompts are longer than is read of them."""
        repository = self.source.prior or self.source.repository
        return [*self.loaded.lora_warnings, *too_long(repository, self.reader, self.reads, texts, self.tokens)]

    def encode(self, texts: Sequence[str], text_hashes: Sequence[str]) -> Conditioning:
        """The conditioning of each prompt, encoded in padded batches of one size."""
        import torch

        family, loaded = self.source.family, self.loaded
        encoders = loaded.networks(loaded.encoder, family.encoders)
        parts: dict[str, list[torch.Tensor]] = {}
        with quiet_libraries(), loaded.placement.working(*encoders), torch.no_grad():
            for rows, live in padded_batches(len(texts), FIXED_BATCH):
                made = self.encoded([texts[row] for row in rows], [text_hashes[row] for row in rows])
                for name, tensor in made.items():
                    parts.setdefault(name, []).append(tensor[:live].float().cpu())
        return {name: torch.cat(tensors).numpy() for name, tensors in parts.items()}

    def text_embeddings(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """(N, D): what the text encoder alone makes of each prompt, in padded batches of one size."""
        import torch

        loaded, made = self.loaded, list[torch.Tensor]()
        encoders = loaded.networks(loaded.encoder, self.text_parts)
        with quiet_libraries(), loaded.placement.working(*encoders), torch.no_grad():
            for rows, live in padded_batches(len(texts), FIXED_BATCH):
                made.append(self.text_embedded([texts[row] for row in rows])[:live].double().cpu())
        vectors: npt.NDArray[np.float64] = torch.cat(made).numpy()
        return vectors

    def initial_latents(self, generators: Sequence[torch.Generator]) -> torch.Tensor:
        """Scaled initial noise, one row a generator."""
        latents: torch.Tensor = self.tapped.initial_latents(
            **self.call, **self.nothing(len(generators)), generator=list(generators)
        )
        return latents

    def predict(self, latents: torch.Tensor, index: int, conditioning: Tensors) -> torch.Tensor:
        """The guided model output of evaluation number `index` (0-based), one row a node."""
        self._place_denoiser()
        given = {name: conditioning[name] for name in self.names}
        output: torch.Tensor = self.tapped.predict(index, **self.call, latents=latents, **given)
        return output

    def decode(self, latents: torch.Tensor) -> list[npt.NDArray[np.uint8] | None]:
        """(H, W, 3) images, decoded in small batches; where memory runs out, in smaller ones from then on.

        None where pixels are not finite, as those of a decoder that overflows in float16.
        """
        family, loaded, runtime = self.source.family, self.loaded, self.runtime

        def decoded(rows: list[int], live: int) -> npt.NDArray[np.float32]:
            return self.pixels(latents[rows].to(runtime.device, runtime.torch_dtype))[:live]

        with loaded.placement.working(*loaded.networks(loaded.denoiser, family.decoders)):
            return [
                (image * 255).round().astype(np.uint8) if np.isfinite(image).all() else None
                for pixels in self._decoding.each(len(latents), decoded)
                for image in pixels
            ]

    def pixels(self, latents: torch.Tensor) -> npt.NDArray[np.float32]:
        """(B, H, W, 3) images in [0, 1] of a batch of final latents; NaN where they have none."""
        decoded: npt.NDArray[np.float32] = self.tapped.decode(
            "np", **self.call, latents=latents, **self.nothing(len(latents))
        )
        return decoded

    @property
    def placement(self) -> Placement:
        """Which networks are on the device at the moment."""
        return self.loaded.placement

    @property
    def safety_checker(self) -> Repository | None:
        """Where the checker lies that flags its images; None where nothing does."""
        return self.source.safety_checker

    def clip(self) -> ClipParts:
        """The CLIP model that it comes with, wherever it is placed at the moment."""
        raise NotImplementedError(f"{type(self).__name__} comes with no CLIP model")

    def plain_pipeline(self) -> Any:
        """The pipeline that denoises, with this adapter's scheduler: what hierflow is measured against."""
        self._place_denoiser()
        self.loaded.denoiser.scheduler = self.sampler.scheduler
        return self.loaded.denoiser

    @cached_property
    def tapped(self) -> TappedPipeline:
        """The pipeline that denoises, a step at a time."""
        return TappedPipeline(self.loaded.denoiser, self.sampler.scheduler, self.device)

    @cached_property
    def _variants(self) -> dict[tuple[str | None, int | None, int | None], Self]:
        return {}

    @cached_property
    def _decoding(self) -> Batches:
        """How images are divided among calls of the decoder: its batches have a size of their own."""
        fixed = None if self.runtime.fixed_batch is None else FIXED_BATCH
        return Batches(replace(self.runtime, fixed_batch=fixed, batch_limit=FIXED_BATCH))

    def _place_denoiser(self) -> None:
        loaded = self.loaded
        loaded.placement.place(*loaded.networks(loaded.denoiser, self.source.family.denoiser))
