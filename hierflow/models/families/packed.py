"""What the pipelines have in common whose transformers see two by two latents as one token."""

from __future__ import annotations

from functools import cached_property

from hierflow.errors import InputError
from hierflow.models.pipeline_adapter import PipelineAdapter

_LATENTS = 128  # a side of the pipelines' usual latents; no configuration says it


class PackedLatents(PipelineAdapter):
    """A pipeline that sets its scheduler up itself, by the number of tokens."""

    pipeline_sets_schedule = True

    @property
    def size_multiple(self) -> int:
        """The VAE's factor, and 2 for the packing."""
        return self.vae_factor * 2

    @property
    def usual_size(self) -> tuple[int, int]:
        """The pipelines' own."""
        return _LATENTS * self.vae_factor, _LATENTS * self.vae_factor

    def forgo_guidance(self) -> None:
        """Turn guidance off.

        Raises:
            InputError: the document asks for some.
        """
        if self.spec.guidance_scale:
            raise InputError(
                "means nothing to this model, which was distilled to do without guidance",
                field="diffusion.guidance_scale",
                value=self.spec.guidance_scale,
                remedy="leave it out",
            )
        self.guidance_scale = 0.0

    @cached_property
    def vae_factor(self) -> int:
        """Pixels a latent, along a side."""
        return int(2 ** (len(self.config("vae")["block_out_channels"]) - 1))
