"""How a denoiser is made faster or smaller, and whether that can do anything for a model at all."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hierflow.errors import InputError
from hierflow.models.quiet import quiet_libraries
from hierflow.spec import DiffusionSpec

if TYPE_CHECKING:
    import torch

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

    def check(self, title: str, network: Any, decoder: Any, like: torch.Tensor, *, has_mask: bool) -> None:
        """Refuse what would be without effect, and what this machine cannot do.

        Args:
            title: what people call the family.
            network, decoder: the denoising network and what turns latents into images, with weights or without.
            like: a tensor on the network's device and in its precision.
            has_mask: whether the network gets an attention mask.

        Raises:
            InputError: the model cannot do it, or a package or a device is missing that it needs.
        """
        kind = type(network).__name__
        if self.attention:
            self._check_attention(title, network, like, has_mask=has_mask)
        if self.channels_last and not _is_unet(network):
            raise _without_effect("channels_last", True, f"has no effect on {title}, whose {kind} is no UNet")
        if self.vae_tiling and not hasattr(decoder, "use_tiling"):
            what = f"has no effect on {title}, whose {type(decoder).__name__} cannot decode in tiles"
            raise _without_effect("vae_tiling", True, what)
        if self.offload == "layers" and not network._supports_group_offloading:
            raise _without_effect("offload", "layers", f"cannot be done to {title}, whose {kind} knows no groups")

    def _check_attention(self, title: str, network: Any, like: torch.Tensor, *, has_mask: bool) -> None:
        if not any(hasattr(processor, "_attention_backend") for processor in _processors(network)):
            what = f"has no effect on {title}, whose {type(network).__name__} chooses its attention by itself"
            raise _without_effect("attention", self.attention, what)
        error = self._attention_error(network, like, has_mask=has_mask)
        if "attn_mask" in str(error):  # before anyone installs a package for it
            what = f"cannot be used with {title}, which masks the padding of its prompts: the backend takes no mask"
            raise _without_effect("attention", self.attention, what)
        self._set_attention(network)
        if error is not None:
            raise self._unavailable(error)

    def _attention_error(self, network: Any, like: torch.Tensor, *, has_mask: bool) -> Exception | None:
        """What the backend raises when it attends as the network does; None if it works."""
        import torch
        from diffusers.models.attention_dispatch import AttentionBackendName, dispatch_attention_fn

        config, tokens = network.config, 8
        shape = (1, tokens, config["num_attention_heads"], config["attention_head_dim"])
        query = like.new_zeros(shape)
        mask = like.new_ones(1, 1, 1, tokens, dtype=torch.bool) if has_mask else None
        try:
            with warnings.catch_warnings(), torch.inference_mode():
                warnings.simplefilter("ignore")  # PyTorch lists the kernels that it does not use
                dispatch_attention_fn(
                    query, query, query, attn_mask=mask, backend=AttentionBackendName(self.attention)
                )
        except Exception as error:  # each backend has errors of its own, and any of them means that it does not work
            return error
        return None

    def _set_attention(self, network: Any) -> None:
        from diffusers.models.attention_dispatch import AttentionBackendName, _AttentionBackendRegistry

        before = _AttentionBackendRegistry.get_active_backend()[0]
        try:
            with quiet_libraries():
                network.set_attention_backend(self.attention)
        except (RuntimeError, ValueError, ImportError) as error:
            raise self._unavailable(error) from error
        # diffusers makes it the backend of every other model in the process too.
        _AttentionBackendRegistry.set_active_backend(AttentionBackendName(before))

    def _unavailable(self, error: Exception) -> InputError:
        return InputError(
            f"is not available on this machine ({(str(error).splitlines() or [type(error).__name__])[0]})",
            field="diffusion.attention",
            value=self.attention,
            remedy="install what it needs, take a device that it runs on, or leave it out",
        )

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
