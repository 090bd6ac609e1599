"""Which networks are on the device: those at work, and no others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


class Placement:
    """Gives one group of networks at a time the device; the others wait on the CPU, where they were loaded.

    On a CPU nothing moves. A group stays where it is until another one needs the room or :meth:`clear` is called, so
    that a denoiser is not moved between consecutive levels.

    Args:
        device: such as "cpu" or "cuda:0".
        keeps: whether what has once worked stays on the device, where there is room for everything.
    """

    def __init__(self, device: str, *, keeps: bool = False) -> None:
        self._device, self._keeps = device, keeps
        self._placed: tuple[torch.nn.Module, ...] = ()
        self._by_layers: list[torch.nn.Module] = []

    def place_by_layers(self, network: Any) -> None:
        """Bring `network`, of diffusers, to the device a layer at a time from now on, whenever it is called."""
        if self._device == "cpu":
            return
        import torch

        network.enable_group_offload(onload_device=torch.device(self._device), offload_type="leaf_level")
        self._by_layers.append(network)

    def place(self, *networks: torch.nn.Module) -> None:
        """Put `networks` on the device, and take off it what this object has put there and is none of them."""
        if self._device == "cpu":
            return
        import torch

        whole = tuple(network for network in networks if not _is_among(network, self._by_layers))
        gone = [network for network in self._placed if not (self._keeps or _is_among(network, whole))]
        for network in gone:
            network.to("cpu")
        if gone and torch.device(self._device).type == "cuda":
            torch.cuda.empty_cache()
        new = tuple(network for network in whole if not _is_among(network, self._placed))
        for network in new:
            network.to(self._device)
        self._placed = (*self._placed, *new) if self._keeps else whole

    @contextmanager
    def working(self, *networks: torch.nn.Module) -> Iterator[None]:
        """`networks` alone are on the device within, and nothing is after."""
        self.place(*networks)
        try:
            yield
        finally:
            self.place()


def _is_among(network: torch.nn.Module, networks: Sequence[torch.nn.Module]) -> bool:
    return any(network is other for other in networks)
