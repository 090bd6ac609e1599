"""Pipelines that diffusers has moved away, where the models made for them still look for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager


@contextmanager
def former_pipelines(libraries: Iterable[str]) -> Iterator[None]:
    """Within, `diffusers.pipelines` has those of `libraries` that have moved to its `deprecated` folder.

    A component of a pipeline's own is named in `model_index.json` by the folder that the pipeline once lay in
    (Karlo's `["unclip", "UnCLIPTextProjModel"]`), and diffusers looks it up there and nowhere else.

    Args:
        libraries: as the components of a `model_index.json` name them.
    """
    from diffusers import pipelines

    deprecated = pipelines.deprecated
    moved = {name for name in libraries if not hasattr(pipelines, name) and hasattr(deprecated, name)}
    for name in moved:
        setattr(pipelines, name, getattr(deprecated, name))
    try:
        yield
    finally:
        for name in moved:
            delattr(pipelines, name)
