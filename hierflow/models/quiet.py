"""The libraries without their bars and notices, which would drown a run's own log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Only errors and no progress bars from diffusers and transformers; their settings are restored after."""
    from transformers.utils import logging

    with quiet_diffusers(), _quiet(logging):
        yield


@contextmanager
def quiet_diffusers() -> Iterator[None]:
    """The same for diffusers alone, where transformers need not even be imported."""
    from diffusers.utils import logging

    with _quiet(logging):
        yield


@contextmanager
def _quiet(library: Any) -> Iterator[None]:
    verbosity, bars = library.get_verbosity(), library.is_progress_bar_enabled()
    try:
        library.set_verbosity_error()
        library.disable_progress_bar()
        yield
    finally:
        library.set_verbosity(verbosity)
        if bars:
            library.enable_progress_bar()
