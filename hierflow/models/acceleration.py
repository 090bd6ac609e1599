"""How a denoiser is made faster or smaller, and whether that can do anything for a model at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hierflow.errors import InputError
from hierflow.models.quiet import quiet_libraries
from hierflow.spec import DiffusionSpec

_REMEDY = "leave it out"


@dataclass(frozen=True)
class Acceleration:
    """What a document asks for.

    Attributes:
        attention: diffusers' name of an attention backend; None for the usual one.
        channels_last: whether the denoiser's weights lie in channels-last order.
        compile: whether the denoiser is compiled.
        vae_tiling: whether large images are decoded in tiles.
        offload: "parts", "none" or "layers".
    """

    attention: str | None = None
    channels_last: bool = False
    compile: bool = False
    vae_tiling: bool = False
    offload: str = "parts"

    @classmethod
    def asked_for(cls, spec: DiffusionSpec) -> Acceleration:
        """What a document's `diffusion` section asks for."""
        return cls(**{name: getattr(spec, name) for name in cls.__dataclass_fields__})

    @property
    def denoiser(self) -> tuple[str, ...]:
        """What of it moves the last bits of a denoising step."""
        attention = (f"attention {self.attention}",) if self.attention else ()
        return (*attention, *(name for name in ("channels_last", "compile") if getattr(self, name)))

    @property
    def decoder(self) -> tuple[str, ...]:
        """What of it moves the last bits of an image."""
        return ("vae_tiling",) if self.vae_tiling else ()

    def check(self, title: str, network: Any, decoder: Any) -> None:
        """Refuse what would be without effect.

        Args:
            title: what people call the family.
            network, decoder: the denoising network and what turns latents into images, with weights or without.

        Raises:
            InputError: the model cannot do it, or a package or a device is missing that it needs.
        """
        kind = type(network).__name__
        if self.attention:
            self._check_attention(title, network)
        if self.channels_last and not _is_unet(network):
            raise _without_effect("channels_last", True, f"has no effect on {title}, whose {kind} is no UNet")
        if self.vae_tiling and not hasattr(decoder, "use_tiling"):
            what = f"has no effect on {title}, whose {type(decoder).__name__} cannot decode in tiles"
            raise _without_effect("vae_tiling", True, what)
        if self.offload == "layers" and not network._supports_group_offloading:
            raise _without_effect("offload", "layers", f"cannot be done to {title}, whose {kind} knows no groups")

    def _check_attention(self, title: str, network: Any) -> None:
        if not any(hasattr(processor, "_attention_backend") for processor in _processors(network)):
            what = f"has no effect on {title}, whose {type(network).__name__} chooses its attention by itself"
            raise _without_effect("attention", self.attention, what)
        self._set_attention(network)

    def _set_attention(self, network: Any) -> None:
        from diffusers.models.attention_dispatch import AttentionBackendName, _AttentionBackendRegistry

        before = _AttentionBackendRegistry.get_active_backend()[0]
        try:
            with quiet_libraries():
                network.set_attention_backend(self.attention)
        except (RuntimeError, ValueError, ImportError) as error:
            raise InputError(
                f"is not to be had here ({str(error).splitlines()[0]})",
                field="diffusion.attention",
                value=self.attention,
                remedy="install what it needs, or leave it out",
            ) from error
        # diffusers makes it the backend of every other model in the process too.
        _AttentionBackendRegistry.set_active_backend(AttentionBackendName(before))

    def applied(self, network: Any) -> None:
        """Change the loaded denoising network accordingly, in place."""
        import torch

        if self.attention:
            self._set_attention(network)
        if self.channels_last:
            network.to(memory_format=torch.channels_last)
        if self.compile:
            # Not the module: its call runs the hook that counts evaluations, which must not be compiled.
            network.forward = torch.compile(network.forward)


def _processors(network: Any) -> list[Any]:
    return [module.processor for module in network.modules() if hasattr(module, "processor")]


def _is_unet(network: Any) -> bool:
    return type(network).__name__.startswith("UNet")


def _without_effect(field: str, value: object, problem: str) -> InputError:
    return InputError(problem, field=f"diffusion.{field}", value=value, remedy=_REMEDY)
