"""What a sampler knows besides the latents, so that it can branch, stop and go on.

Multistep samplers keep earlier model outputs. Whatever tensor of a diffusers scheduler has the shape of the
latents is such history and has one row a node; its tables (sigmas, timesteps) never have that shape. Counters
are equal for all nodes of a level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

History = dict[str, "torch.Tensor | list[torch.Tensor | None]"]


@dataclass(frozen=True)
class SamplerState:
    """The states of one level's nodes, a row a node.

    Attributes:
        latents: (B, ...).
        history: the scheduler's attributes that hold rows, as tensors or lists of tensors.
        counters: its plain attributes, as JSON.
    """

    latents: torch.Tensor
    history: History
    counters: Mapping[str, Any]

    @classmethod
    def captured(cls, scheduler: Any, latents: torch.Tensor) -> SamplerState:
        """The state after `scheduler.step` returned `latents`."""
        history: History = {}
        counters: dict[str, Any] = {}
        for name, value in vars(scheduler).items():
            if name.startswith("_internal"):
                continue
            if _is_rows(value, latents):
                history[name] = value
            elif isinstance(value, list) and any(_is_rows(item, latents) for item in value):
                history[name] = list(value)
            elif _is_counter(value):
                counters[name] = _counter_json(value)
        return cls(latents, history, counters)

    def restore(self, scheduler: Any) -> None:
        """Put the scheduler where it was when this state was captured."""
        for name, value in self.counters.items():
            setattr(scheduler, name, _counter(value))
        for name, rows in self.history.items():
            setattr(scheduler, name, list(rows) if isinstance(rows, list) else rows)

    def rows(self, index: Sequence[int]) -> SamplerState:
        """The states of some nodes, in the given order, repeats allowed."""
        import torch

        at = torch.tensor(index, dtype=torch.long, device=self.latents.device)
        history: History = {
            name: [None if item is None else item.index_select(0, at) for item in rows]
            if isinstance(rows, list)
            else rows.index_select(0, at)
            for name, rows in self.history.items()
        }
        return SamplerState(self.latents.index_select(0, at), history, self.counters)

    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything with rows, by the names under which it is stored."""
        found = {"latents": self.latents}
        for name, rows in self.history.items():
            items = enumerate(rows) if isinstance(rows, list) else [(None, rows)]
            found |= {
                f"history.{name}" + ("" if place is None else f".{place}"): item
                for place, item in items
                if item is not None
            }
        return {name: tensor.detach().cpu().contiguous() for name, tensor in found.items()}

    def meta(self) -> dict[str, Any]:
        """What, besides :meth:`tensors`, makes the state whole again."""
        lengths = {name: len(rows) for name, rows in self.history.items() if isinstance(rows, list)}
        return {"counters": dict(self.counters), "lists": lengths}

    @classmethod
    def stored(cls, tensors: Mapping[str, torch.Tensor], meta: Mapping[str, Any], device: str) -> SamplerState:
        """The inverse of :meth:`tensors` and :meth:`meta`."""
        history: History = {
            name: [_on(tensors.get(f"history.{name}.{place}"), device) for place in range(length)]
            for name, length in meta["lists"].items()
        }
        for name, tensor in tensors.items():
            _, _, attribute = name.partition("history.")
            if attribute and "." not in attribute:
                history[attribute] = tensor.to(device)
        return cls(tensors["latents"].to(device), history, meta["counters"])


def joined(states: Sequence[SamplerState]) -> SamplerState:
    """The rows of several states of one level, one after the other.

    Raises:
        ValueError: they are not of one level: their histories have different shapes.
    """
    import torch

    if len(states) == 1:
        return states[0]
    first = states[0]
    if any(state.history.keys() != first.history.keys() for state in states):
        raise ValueError("states of different levels cannot be joined")
    history = {name: _joined_history([state.history[name] for state in states]) for name in first.history}
    return SamplerState(torch.cat([state.latents for state in states]), history, first.counters)


def _joined_history(parts: Sequence[torch.Tensor | list[torch.Tensor | None]]) -> Any:
    """One attribute's rows of several states: tensors one after the other, lists place by place."""
    if isinstance(parts[0], list):
        return [_joined_rows(place) for place in zip(*parts, strict=True)]
    return _joined_rows(parts)


def _joined_rows(parts: Sequence[Any]) -> torch.Tensor | None:
    import torch

    present = [part for part in parts if part is not None]
    if len(present) not in (0, len(parts)):
        raise ValueError("states of different levels cannot be joined")
    return torch.cat(present) if present else None


def _is_rows(value: Any, latents: torch.Tensor) -> bool:
    import torch

    return torch.is_tensor(value) and value.ndim >= 2 and value.shape == latents.shape


def _is_counter(value: Any) -> bool:
    import torch

    if isinstance(value, list):
        return bool(value) and all(_is_counter(item) and not isinstance(item, list) for item in value)
    return value is None or isinstance(value, (bool, int, float, str)) or (torch.is_tensor(value) and value.ndim == 0)


def _counter_json(value: Any) -> Any:
    import torch

    if isinstance(value, list):
        return [_counter_json(item) for item in value]
    if torch.is_tensor(value):
        return {"value": value.item(), "dtype": str(value.dtype).removeprefix("torch.")}
    return value


def _counter(value: Any) -> Any:
    import torch

    if isinstance(value, list):
        return [_counter(item) for item in value]
    if isinstance(value, dict):
        return torch.tensor(value["value"], dtype=getattr(torch, value["dtype"]))
    return value


def _on(tensor: torch.Tensor | None, device: str) -> torch.Tensor | None:
    return None if tensor is None else tensor.to(device)
