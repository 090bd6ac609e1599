"""A diffusers pipeline as an adapter: everything that families have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from hierflow.hashing import digest
from hierflow.models.adapter import Conditioning, Tensors
from hierflow.models.batches import padded_batches
from hierflow.models.pipeline_family import PipelineFamily
from hierflow.models.prompt_length import too_long
from hierflow.models.quiet import quiet_libraries
from hierflow.models.runtime import FIXED_BATCH
from hierflow.models.sampler import Sampler
from hierflow.models.schedulers import make_sampler, make_scheduler, sampler_identity
from hierflow.models.tap import TappedPipeline
from hierflow.plan.identity import SamplingIdentity

if TYPE_CHECKING:
    import torch

    from hierflow.scoring import Scorer


class PipelineAdapter(PipelineFamily):
    """An :class:`~hierflow.models.adapter.Adapter` around an unmodified diffusers pipeline.

    Everything the engine asks for is here; what differs between families, :class:`PipelineFamily` asks of them.
    """

    prior_evaluations_per_prompt: int = 0
    scorer_version: str = ""
    _decode_batch: int = FIXED_BATCH

    @cached_property
    def encoder_fingerprint(self) -> str:
        """Identity of what turns a text into conditioning: encoders, settings, precision, negative prompt."""
        family, negative = self.source.family, self.spec.negative_prompt
        repository = self.source.prior or self.source.repository
        parts = repository.fingerprint(*repository.present(family.encoders))
        settings = [*self.encoder_settings(), self.runtime.dtype, *([] if negative is None else [negative])]
        return digest("hierflow encoder 1", parts, settings)

    @cached_property
    def decoder_fingerprint(self) -> str:
        """Identity of what turns latents into images."""
        repository = self.source.repository
        parts = repository.fingerprint(*repository.present(self.source.family.decoders))
        return digest("hierflow decoder 1", parts, self.runtime.dtype)

    @cached_property
    def rows_per_evaluation(self) -> int:
        """Network rows of one evaluation: 2 with classifier-free guidance, 1 without."""
        return 2 if self.guidance_scale > 1 else 1

    @cached_property
    def identity(self) -> SamplingIdentity:
        """What decides a denoising step, besides conditioning."""
        repository = self.source.repository
        return SamplingIdentity(
            denoiser=repository.fingerprint(*repository.present(self.source.family.denoiser)),
            scheduler=sampler_identity(self.sampler),
            guidance_scale=self.guidance_scale,
            height=self.height,
            width=self.width,
            dtype=self.runtime.dtype,
            seed=self.spec.seed,
            initial_noise=self.spec.initial_noise,
            fixed_batch=self.runtime.fixed_batch,
        )

    @cached_property
    def sampler(self) -> Sampler:
        """The sampler, at the beginning of its schedule."""
        config = self.source.repository.config(self.source.family.scheduler, "scheduler_config.json")
        scheduler = make_scheduler(self.spec.scheduler, config, self.spec.scheduler_options)
        return make_sampler(scheduler, self.spec.steps, self._timesteps_of(scheduler))

    @property
    def network(self) -> torch.nn.Module:
        """The denoising network, on its device."""
        self._place_denoiser()
        network: torch.nn.Module = getattr(self.loaded.denoiser, self.source.family.denoiser[0])
        return network

    def varied(self, *, negative_prompt: str | None, width: int | None, height: int | None) -> Self:
        """The same networks under other settings, those that are None being as they are here.

        Raises:
            InputError: the model cannot draw such a size, or takes no negative prompt.
        """
        asked = {"negative_prompt": negative_prompt, "width": width, "height": height}
        changes = {name: value for name, value in asked.items() if value is not None}
        if all(getattr(self.spec, name) == value for name, value in changes.items()):
            return self
        return type(self)(self.source, self.spec.model_copy(update=changes), self.runtime, self.loaded)

    def warnings(self, texts: Sequence[str]) -> list[str]:
        """A sentence if prompts are longer than the text encoder reads."""
        return too_long(self.source.prior or self.source.repository, self.reader, self.reads, texts)

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

    def decode(self, latents: torch.Tensor) -> npt.NDArray[np.uint8]:
        """(B, H, W, 3) images, decoded in padded batches of one size (where memory runs out, of half that)."""
        import torch

        family, loaded, images = self.source.family, self.loaded, []
        with loaded.placement.working(*loaded.networks(loaded.denoiser, family.decoders)):
            done = 0
            while done < len(latents):
                rows, live = next(padded_batches(len(latents) - done, self._decode_batch))
                batch = latents[[done + row for row in rows]].to(self.runtime.device, self.runtime.torch_dtype)
                try:
                    pixels = self.tapped.decode("np", **self.call, latents=batch, **self.nothing(len(rows)))
                except torch.OutOfMemoryError:
                    if self.runtime.fixed_batch is not None or self._decode_batch == 1:
                        raise
                    self._decode_batch //= 2
                    torch.cuda.empty_cache()
                    continue
                images.append((pixels[:live] * 255).round().astype(np.uint8))
                done += live
        return np.concatenate(images)

    def scorer(self) -> Scorer | None:
        """The model's own quality score; None for families without one."""
        return None

    def plain_pipeline(self) -> Any:
        """The pipeline that denoises, with this adapter's scheduler: what hierflow is measured against."""
        self._place_denoiser()
        self.loaded.denoiser.scheduler = self.sampler.scheduler
        return self.loaded.denoiser

    @cached_property
    def tapped(self) -> TappedPipeline:
        """The pipeline that denoises, a step at a time."""
        return TappedPipeline(self.loaded.denoiser, self.sampler.scheduler, self.device)

    def _timesteps_of(self, scheduler: Any) -> Callable[[], None]:
        import torch

        if not self.pipeline_sets_schedule:
            return lambda: scheduler.set_timesteps(self.spec.steps, device=self.runtime.device)
        outline = TappedPipeline(self.loaded.outline, scheduler, self.device)
        generator = torch.Generator()  # of its own, since the pipeline makes initial noise on the way
        return lambda: outline.set_schedule(**self.call, **self.nothing(1), generator=generator)

    def _place_denoiser(self) -> None:
        loaded = self.loaded
        loaded.placement.place(*loaded.networks(loaded.denoiser, self.source.family.denoiser))
