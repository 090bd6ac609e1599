"""A size the pipeline would round is refused, not rounded."""

from __future__ import annotations

from pathlib import Path

import pytest

from hierflow.errors import InputError
from hierflow.models.families.kandinsky22 import Kandinsky22
from hierflow.models.runtime import resolve_runtime
from hierflow.models.source import locate
from hierflow.spec import DiffusionSpec


def adapter_of(**size: int) -> Kandinsky22:
    spec = DiffusionSpec(**size)  # type: ignore[arg-type]
    return Kandinsky22(locate(spec, Path()), spec, resolve_runtime(spec))


def test_the_size_is_the_models_own_unless_asked_for() -> None:
    assert (adapter_of().height, adapter_of().width) == (64, 64)
    assert (adapter_of(height=80).height, adapter_of(height=80).width) == (80, 64)


@pytest.mark.parametrize("side", ["height", "width"])
def test_a_size_between_multiples_is_refused_with_the_next_one(side: str) -> None:
    with pytest.raises(InputError, match=rf"diffusion\.{side}: 70 is not a multiple of 16, .*; take 80\."):
        adapter_of(**{side: 70})
