"""The mini model says what it has never seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from hierflow.models.families.kandinsky22 import Kandinsky22
from hierflow.models.runtime import resolve_runtime
from hierflow.models.source import locate
from hierflow.models.vocabulary import mini_warnings
from hierflow.spec import DiffusionSpec


def warnings_of(model: str | Path, *texts: str) -> list[str]:
    spec = DiffusionSpec(model=str(model))
    return Kandinsky22(locate(spec, Path("/")), spec, resolve_runtime(spec)).warnings(texts)


def test_known_words_are_not_remarked_upon() -> None:
    assert mini_warnings(["A photo of a red, striped mug on a wooden table!", "Pixel art: blue car"]) == []


def test_unknown_words_are_named_the_most_frequent_first() -> None:
    (warning,) = mini_warnings(["a zebra", "a red zebra on a unicycle", "zebra zebra"])
    assert "has never seen 'zebra', 'unicycle':" in warning


def test_only_so_many_words_are_named() -> None:
    (warning,) = mini_warnings([f"word{letter}" for letter in "abcdefghij"])
    assert "'wordh' and 2 more" in warning
    assert "'wordi'" not in warning


def test_only_the_mini_model_has_a_vocabulary(tiny_learned: Path) -> None:
    assert "'zebra'" in warnings_of("mini", "a zebra")[0]
    assert warnings_of(tiny_learned, "a zebra") == []


@pytest.mark.parametrize(("words", "warned"), [(3, False), (40, True)])
def test_a_prompt_that_is_cut_off_is_remarked_upon(tiny_learned: Path, words: int, warned: bool) -> None:
    found = warnings_of(tiny_learned, "a b", "x " * words)
    assert bool(found) is warned
