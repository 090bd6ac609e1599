"""What decides the results of a diffusers pipeline: identities from files and settings, with no weight loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from importlib.metadata import version
from typing import Any

from hierflow.errors import InputError, RunError
from hierflow.hashing import digest
from hierflow.models.acceleration import Acceleration
from hierflow.models.cache import remember, remembered
from hierflow.models.pipeline_family import PipelineFamily
from hierflow.models.sampler import Sampler
from hierflow.models.schedulers import make_sampler, make_scheduler, plain_config, sampler_identity
from hierflow.models.tap import TappedPipeline
from hierflow.plan.identity import SamplingIdentity

_SAMPLERS = "samplers"


class PipelineIdentity(PipelineFamily):
    """A family's model as names for what it makes: a run with nothing to do needs no more of it."""

    @cached_property
    def encoder_fingerprint(self) -> str:
        """Identity of what turns a text into conditioning: encoders, settings, precision, negative prompt."""
        family, negative = self.source.family, self.spec.negative_prompt
        repository = self.source.prior or self.source.repository
        parts = repository.fingerprint(*repository.present(family.encoders))
        settings = [*self.encoder_settings(), self.runtime.dtype, *([] if negative is None else [negative])]
        loras = [lora.identity for lora in self.source.loras if lora.reaches_text]
        return digest("hierflow encoder 1", parts, settings, *([loras] if loras else []))

    @cached_property
    def decoder_fingerprint(self) -> str:
        """Identity of what turns latents into images."""
        repository = self.source.repository
        parts = repository.fingerprint(*repository.present(self.source.family.decoders))
        return digest("hierflow decoder 1", parts, self.runtime.dtype, *self.runtime.acceleration.decoder)

    @cached_property
    def rows_per_evaluation(self) -> int:
        """Network rows of one evaluation: 2 with classifier-free guidance, 1 without."""
        return 2 if self.guidance_scale > 1 else 1

    @cached_property
    def identity(self) -> SamplingIdentity:
        """What decides a denoising step, besides conditioning."""
        self._check_acceleration()
        _ = self.loaded.lora_warnings  # refuses LoRAs that do not fit
        return SamplingIdentity(
            denoiser=self._denoiser_fingerprint,
            scheduler=self._sampler_identity(),
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
        """The sampler, at the beginning of its schedule.

        Raises:
            RunError: it is another one than was remembered, so that states were planned under wrong names.
        """
        scheduler = make_scheduler(self.spec.scheduler, self._scheduler_config, self.spec.scheduler_options)
        made = make_sampler(scheduler, self.spec.steps, self._timesteps_of(scheduler))
        identity, known = sampler_identity(made), remembered(_SAMPLERS)
        before = known.get(self._sampler_key)
        if before is None or digest(before) != digest(identity):
            remember(_SAMPLERS, {**known, self._sampler_key: identity})
        if before is not None and digest(before) != digest(identity):
            raise RunError("the sampler is not the one that was remembered for this model; it is now: run again")
        return made

    def _sampler_identity(self) -> Mapping[str, Any]:
        """The sampler's name for itself; remembered, as a run with nothing to do has no other use for diffusers."""
        found: Mapping[str, Any] | None = remembered(_SAMPLERS).get(self._sampler_key)
        return sampler_identity(self.sampler) if found is None else found

    @cached_property
    def _sampler_key(self) -> str:
        spec = self.spec
        return digest(
            "hierflow sampler 2",
            version("diffusers"),
            plain_config(self._scheduler_config),
            [spec.scheduler, plain_config(spec.scheduler_options), spec.steps, self.height, self.width],
            self._denoiser_weights,
            self.decoder_fingerprint,
        )

    @property
    def _scheduler_config(self) -> dict[str, Any]:
        return self.source.repository.config(self.source.family.scheduler, "scheduler_config.json")

    @cached_property
    def text_fingerprint(self) -> str:
        """Identity of the text encoder that :meth:`text_embeddings` uses.

        Raises:
            InputError: what it makes of a prompt is what the tree clusters by anyway.
        """
        if not self.text_parts:
            raise InputError(
                f"is what a tree of {self.source.family.title} clusters by anyway",
                field="embedding.from",
                value="text_encoder",
                remedy="write `conditioning`, or leave it out",
            )
        repository = self.source.prior or self.source.repository
        return digest("hierflow text embedding 1", repository.fingerprint(*self.text_parts), self.runtime.dtype)

    @cached_property
    def _denoiser_weights(self) -> str:
        repository = self.source.repository
        return repository.fingerprint(*repository.present(self.source.family.denoiser))

    @cached_property
    def _denoiser_fingerprint(self) -> str:
        weights = self._denoiser_weights
        loras = [lora.identity for lora in self.source.loras]
        changed = self.runtime.acceleration.denoiser
        return digest("hierflow denoiser 1", weights, loras, changed) if loras or changed else weights

    def _check_acceleration(self) -> None:
        """Refuse what would be without effect; the networks are looked at without their weights."""
        if self.runtime.acceleration != Acceleration():
            family, loaded = self.source.family, self.loaded
            network, decoder = (loaded.network_outline(name) for name in (family.denoiser[0], family.decoders[0]))
            has_mask = any("mask" in name for name in self.names)
            self.runtime.acceleration.check(family.title, network, decoder, self.zeros(1), has_mask=has_mask)

    def _timesteps_of(self, scheduler: Any) -> Callable[[], None]:
        import torch

        if not self.pipeline_sets_schedule:
            return lambda: scheduler.set_timesteps(self.spec.steps, device=self.runtime.device)
        outline = TappedPipeline(self.loaded.outline, scheduler, self.device)
        generator = torch.Generator()  # of its own, since the pipeline makes initial noise on the way
        return lambda: outline.set_schedule(**self.call, **self.nothing(1), generator=generator)
