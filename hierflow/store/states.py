"""States by id: the latents of a node after a step, with the sampler's history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hierflow.store.sealed import sealed_tensors, verified_meta
from hierflow.store.storage import DamagedFileError, Storage

if TYPE_CHECKING:
    import torch

_FOLDER, _SUFFIX = "states", ".safetensors"


class StateStore:
    """Immutable states. Two workers that store one state write the same thing.

    Attributes:
        damaged: ids that were found torn or altered since this object was made; they count as absent.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._known: set[str] | None = None
        self.damaged: set[str] = set()

    def refresh(self) -> None:
        """Look again at what is stored (another worker may have added states)."""
        self._known = None

    def __contains__(self, state: str) -> bool:
        if self._known is None:
            self._known = set(self.sizes())
        return state in self._known and state not in self.damaged

    def sizes(self) -> dict[str, int]:
        """The bytes of every stored state, by id, as they are now."""
        return {path[-76:-12]: size for path, size in self._storage.sizes(_FOLDER).items() if path.endswith(_SUFFIX)}

    def delete(self, state: str) -> None:
        """Remove a state; whoever needs it later computes it again."""
        self._storage.delete(_path(state))
        if self._known is not None:
            self._known.discard(state)

    def save(self, state: str, tensors: Mapping[str, torch.Tensor], meta: Mapping[str, Any]) -> None:
        """Store one state: contiguous CPU tensors and JSON `meta`."""
        from safetensors.torch import save

        self._storage.write(_path(state), sealed_tensors(tensors, {**meta, "state": state}, save))
        self.damaged.discard(state)
        if self._known is not None:
            self._known.add(state)

    def load(self, state: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
        """The tensors and meta of `state`; None if it is absent or damaged (then it is noted in `damaged`)."""
        from safetensors.torch import load

        try:
            data = self._storage.read(_path(state))
            meta = verified_meta(data, self._storage.url(_path(state)))
        except FileNotFoundError:
            if self._known is not None:  # it was pruned since
                self._known.discard(state)
            return None
        except DamagedFileError:
            self.damaged.add(state)
            return None
        if meta.get("state") != state:
            self.damaged.add(state)
            return None
        return load(data), meta


def _path(state: str) -> str:
    return f"{_FOLDER}/{state[:2]}/{state}{_SUFFIX}"
