"""The hook on the network: what was really computed, whatever the plan said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@dataclass
class Meter:
    """Counts a network's forward passes.

    Attributes:
        calls: how often the network ran.
        rows: batch rows it saw, guidance's unconditional half and padding included.
    """

    calls: int = 0
    rows: int = 0

    def attach(self, network: torch.nn.Module) -> Any:
        """Count `network`'s forward passes until the returned handle's `remove()`."""
        return network.register_forward_pre_hook(self._count, with_kwargs=True)

    def _count(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        sample = args[0] if args else kwargs["sample" if "sample" in kwargs else "hidden_states"]
        self.calls += 1
        self.rows += len(sample)
