"""Which networks are on the device: those at work, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


class Placement:
    """Gives one group of networks at a time the device; the others wait on the CPU, where they were loaded.

    On a CPU nothing moves. A group stays where it is until another one needs the room or :meth:`clear` is called, so
    that a denoiser is not moved between consecutive levels.

    Args:
        device: such as "cpu" or "cuda:0".
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._placed: tuple[torch.nn.Module, ...] = ()

    def place(self, *networks: torch.nn.Module) -> None:
        """Put `networks` on the device, and take off it what this object has put there and is none of them."""
        if self._device == "cpu":
            return
        import torch

        gone = [network for network in self._placed if not any(network is wanted for wanted in networks)]
        for network in gone:
            network.to("cpu")
        if gone and torch.device(self._device).type == "cuda":
            torch.cuda.empty_cache()
        for network in networks:
            if not any(network is placed for placed in self._placed):
                network.to(self._device)
        self._placed = networks

    @contextmanager
    def working(self, *networks: torch.nn.Module) -> Iterator[None]:
        """`networks` alone are on the device within, and nothing is after."""
        self.place(*networks)
        try:
            yield
        finally:
            self.place()
