"""hierflow: large image sets from diffusion models for a fraction of the compute.

Importing this package imports neither torch nor Dagster; each name below brings its own when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hierflow.assets.component import ImageSet
    from hierflow.assets.described import image_set
    from hierflow.errors import HierflowError, InputError, RunError
    from hierflow.generate import Generation, generate
    from hierflow.tree import EmbeddingTree

__version__ = "0.1.0"

_HOMES = {
    "EmbeddingTree": "hierflow.tree",
    "Generation": "hierflow.generate",
    "HierflowError": "hierflow.errors",
    "ImageSet": "hierflow.assets.component",
    "InputError": "hierflow.errors",
    "RunError": "hierflow.errors",
    "generate": "hierflow.generate",
    "image_set": "hierflow.assets.described",
}
__all__ = [
    "EmbeddingTree",
    "Generation",
    "HierflowError",
    "ImageSet",
    "InputError",
    "RunError",
    "generate",
    "image_set",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = import_module(_HOMES[name])
    # All names of this home at once: `generate` is also a submodule, and the function must win from now on.
    globals().update({other: getattr(home, other) for other, place in _HOMES.items() if place == _HOMES[name]})
    return globals()[name]


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
