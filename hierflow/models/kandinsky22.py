"""The Kandinsky 2.2 family: a text-to-image-embedding prior, and a decoder conditioned on that embedding."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hierflow.errors import InputError
from hierflow.hashing import digest, seed_from
from hierflow.models.adapter import Conditioning, Tensors
from hierflow.models.batches import padded_batches
from hierflow.models.quiet import quiet_loading
from hierflow.models.runtime import FIXED_BATCH, Runtime
from hierflow.models.schedulers import make_scheduler, scheduler_identity
from hierflow.models.source import ModelSource, Repository
from hierflow.models.tap import TappedPipeline
from hierflow.plan.identity import SamplingIdentity
from hierflow.spec import DiffusionSpec

if TYPE_CHECKING:
    import torch

    from hierflow.scoring import Scorer

_DEFAULT_SIZE = 512


class Kandinsky22:
    """`KandinskyV22PriorPipeline` and `KandinskyV22Pipeline` as an :class:`~hierflow.models.adapter.Adapter`.

    The prior is itself a sampler: every prompt has a generator of its own, keyed by its text, and prompts are
    encoded in padded batches of one size, so that a prompt's embedding does not depend on its neighbours.
    """

    def __init__(self, source: ModelSource, spec: DiffusionSpec, runtime: Runtime) -> None:
        if spec.prior_steps < 2:  # the prior's scheduler divides by the number of steps less one
            raise InputError(
                "is too few steps for this prior",
                field="diffusion.prior_steps",
                value=spec.prior_steps,
                remedy="take at least 2",
            )
        self.source, self.spec, self.runtime = source, spec, runtime
        self.encoder_fingerprint = source.encoder_fingerprint(spec, runtime.dtype)
        self.decoder_fingerprint = digest("hierflow decoder 1", source.decoder.fingerprint("movq"), runtime.dtype)
        self.rows_per_evaluation = 2 if spec.guidance_scale > 1 else 1
        self.height, self.width = self._size("height"), self._size("width")

    @cached_property
    def identity(self) -> SamplingIdentity:
        """What decides a denoising step, besides conditioning."""
        return SamplingIdentity(
            denoiser=self.source.decoder.fingerprint("unet"),
            scheduler=scheduler_identity(self.scheduler),
            guidance_scale=self.spec.guidance_scale,
            height=self.height,
            width=self.width,
            dtype=self.runtime.dtype,
            seed=self.spec.seed,
            initial_noise=self.spec.initial_noise,
            fixed_batch=self.runtime.fixed_batch,
        )

    @cached_property
    def scheduler(self) -> Any:
        """The real scheduler, with its timesteps set."""
        config = self.source.decoder.config("scheduler", "scheduler_config.json")
        return make_scheduler(self.spec.scheduler, config, self.spec.steps)

    @property
    def network(self) -> torch.nn.Module:
        """The decoder's UNet."""
        unet: torch.nn.Module = self._decoder.unet
        return unet

    @property
    def prior_evaluations_per_prompt(self) -> int:
        """Sampling steps of the prior."""
        return self.spec.prior_steps

    def warnings(self, texts: Sequence[str]) -> list[str]:
        """Words the embedded model has never seen, and prompts that are longer than the text encoder reads."""
        from hierflow.models.vocabulary import mini_warnings

        return mini_warnings(texts) if self.source.is_mini else self._too_long(texts)

    def encode(self, texts: Sequence[str], text_hashes: Sequence[str]) -> Conditioning:
        """`image_embeds` and `negative_image_embeds`, both (N, D)."""
        import torch

        positive, negative = [], []
        self._prior.to(self.runtime.device)
        for rows, live in padded_batches(len(texts), FIXED_BATCH):
            output = self._prior(
                [texts[row] for row in rows],
                num_inference_steps=self.spec.prior_steps,
                guidance_scale=self.spec.prior_guidance_scale,
                generator=[self._prior_generator(text_hashes[row]) for row in rows],
            )
            positive.append(output.image_embeds[:live].float().cpu())
            negative.append(output.negative_image_embeds[:live].float().cpu())
        if self.runtime.device != "cpu":
            self._prior.to("cpu")  # the denoiser needs the room
        return {
            "image_embeds": torch.cat(positive).numpy(),
            "negative_image_embeds": torch.cat(negative).numpy(),
        }

    def tree_embeddings(self, conditioning: Conditioning) -> npt.NDArray[np.float64]:
        """The image embeddings: what the paper clusters Kandinsky's prompts by."""
        return conditioning["image_embeds"].astype(np.float64)

    def initial_latents(self, generators: Sequence[torch.Generator]) -> torch.Tensor:
        """Scaled initial noise, one row a generator."""
        import torch

        nothing = torch.zeros(len(generators), 1, device=self.runtime.device, dtype=self.runtime.torch_dtype)
        latents: torch.Tensor = self._tapped.initial_latents(
            **self._call, image_embeds=nothing, negative_image_embeds=nothing, generator=list(generators)
        )
        return latents

    def predict(self, latents: torch.Tensor, index: int, conditioning: Tensors) -> torch.Tensor:
        """The guided noise prediction, with the variance channels where the scheduler wants them.

        The pipeline was written for DDPM and never scales its input, so samplers that need it (Euler) have
        it done here.
        """
        scheduler = self.scheduler
        scaled = scheduler.scale_model_input(latents, scheduler.timesteps[index])
        output: torch.Tensor = self._tapped.predict(index, **self._call, latents=scaled, **conditioning)
        return output

    def decode(self, latents: torch.Tensor) -> npt.NDArray[np.uint8]:
        """(B, H, W, 3) images, decoded in padded batches of one size."""
        import torch

        images = []
        nothing = torch.zeros(FIXED_BATCH, 1, device=self.runtime.device, dtype=self.runtime.torch_dtype)
        for rows, live in padded_batches(len(latents), FIXED_BATCH):
            batch = latents[rows].to(self.runtime.device, self.runtime.torch_dtype)
            pixels = self._tapped.decode(
                "np", **self._call, latents=batch, image_embeds=nothing, negative_image_embeds=nothing
            )
            images.append((pixels[:live] * 255).round().astype(np.uint8))
        return np.concatenate(images)

    def scorer(self) -> Scorer:
        """CLIP similarity by the prior's own text and image encoders."""
        from hierflow.scoring.clip_similarity import ClipSimilarity

        prior = self._prior
        prior.text_encoder.to(self.runtime.device)
        prior.image_encoder.to(self.runtime.device)
        return ClipSimilarity(
            prior.text_encoder,
            prior.tokenizer,
            prior.image_encoder,
            prior.image_processor,
            version=self.scorer_version,
        )

    @cached_property
    def scorer_version(self) -> str:
        """Identity of the encoders that score."""
        parts = ("image_encoder", "image_processor", "text_encoder", "tokenizer")
        return digest("hierflow clip similarity 1", self.source.prior.fingerprint(*parts), self.runtime.dtype)

    def plain_decoder(self) -> Any:
        """The decoder pipeline itself, with this adapter's scheduler: what hierflow is measured against."""
        self._decoder.scheduler = self.scheduler
        return self._decoder

    @property
    def _call(self) -> dict[str, Any]:
        return {
            "height": self.height,
            "width": self.width,
            "num_inference_steps": self.spec.steps,
            "guidance_scale": self.spec.guidance_scale,
        }

    @cached_property
    def _prior(self) -> Any:
        return self._load("KandinskyV22PriorPipeline", self.source.prior)

    @cached_property
    def _decoder(self) -> Any:
        return self._load("KandinskyV22Pipeline", self.source.decoder).to(self.runtime.device)

    @cached_property
    def _tapped(self) -> TappedPipeline:
        import torch

        return TappedPipeline(self._decoder, self.scheduler, torch.device(self.runtime.device))

    def _load(self, pipeline: str, repository: Repository) -> Any:
        with quiet_loading():
            import diffusers

            loaded = getattr(diffusers, pipeline).from_pretrained(
                repository.folder,
                dtype=self.runtime.torch_dtype,
                variant=repository.variant,
                use_safetensors=True,
                local_files_only=True,
            )
        loaded.set_progress_bar_config(disable=True)
        return loaded

    def _prior_generator(self, text_hash: str) -> torch.Generator:
        import torch

        return torch.Generator().manual_seed(seed_from("hierflow prior noise 1", self.spec.prior_seed, text_hash))

    def _size(self, side: str) -> int:
        """One side of the images: what the document asks for, or what the model was trained on.

        The pipeline would silently round a size up to the next multiple of its factor squared.

        Raises:
            InputError: the document's size is no such multiple.
        """
        movq = self.source.decoder.config("movq", "config.json")
        factor = 2 ** (len(movq["block_out_channels"]) - 1)
        asked: int | None = getattr(self.spec, side)
        if asked is None:
            size = self.source.decoder.config("unet", "config.json").get("sample_size")
            return int(size) * factor if size else _DEFAULT_SIZE
        if asked % factor**2:
            raise InputError(
                f"is not a multiple of {factor**2}, as this model needs",
                field=f"diffusion.{side}",
                value=asked,
                remedy=f"take {-(-asked // factor**2) * factor**2}",
            )
        return asked

    def _too_long(self, texts: Sequence[str]) -> list[str]:
        from transformers import CLIPTokenizer

        tokenizer = CLIPTokenizer.from_pretrained(self.source.prior.folder / "tokenizer", local_files_only=True)
        limit = tokenizer.model_max_length
        long = [text for text in texts if len(tokenizer(text).input_ids) > limit]
        if not long:
            return []
        return [
            f"{len(long)} prompts are longer than the {limit} tokens the text encoder reads, such as {long[0][:60]!r}"
        ]
