"""Final states to pixels, each of which may be had or not without the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hierflow.models.adapter import at_size
from hierflow.plan.lanes import Variant
from hierflow.stages.context import Stage

if TYPE_CHECKING:
    import torch

    from hierflow.stages.making.latents import Denoised

Pixels = npt.NDArray[np.uint8]

_NO_PIXELS = "the pixels are not finite; try diffusion.dtype: float32, or a model whose VAE is made for float16"


def decode_states(stage: Stage, denoised: Denoised, states: Sequence[tuple[str, Variant]]) -> list[Pixels | str]:
    """What each final state looks like, (H, W, 3), or a sentence that says why there is nothing to see.

    Args:
        stage: the set.
        denoised: where states that were made just now are; the others are read from the store.
        states: ids, and the variants that they are of.
    """
    found: list[Pixels | str] = [""] * len(states)
    by_size: dict[tuple[int, int], dict[int, torch.Tensor]] = {}
    for place, (state, variant) in enumerate(states):
        latents = final_latents(stage, denoised, state)
        if isinstance(latents, str):
            found[place] = latents
        else:
            by_size.setdefault((variant.width, variant.height), {})[place] = latents
    for size, group in by_size.items():
        import torch

        images = at_size(stage.adapter, *size).decode(torch.cat(list(group.values())))
        for place, image in zip(group, images, strict=True):
            found[place] = _NO_PIXELS if image is None else image
    return found


def final_latents(stage: Stage, denoised: Denoised, state: str) -> torch.Tensor | str:
    """The latents of a final state, (1, ...), or a sentence that says why there are none."""
    latents = denoised.states.get(state)
    if latents is None:
        stored = stage.store.states.load(state)
        if stored is None:
            return "the stored latents are lost or damaged; run the partition again"
        latents = stored[0]["latents"]
    if not bool(latents.isfinite().all()):
        return "the latents are not finite; try diffusion.dtype: float32"
    return latents.to(stage.adapter.runtime.device)
