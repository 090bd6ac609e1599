"""The prompt sets that live through nights of change: who founds them, and who comes.

Two are the paper's (its authors' release), embedded by WordLlama: word vectors, averaged, that come with their Python
package (`pip install wordllama`). The third is a catalogue of the mini model's world with the mini model's own
embeddings, which is what hierflow itself would cluster.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.catalogue import draw
from hierflow.prompts import PromptSet, PromptSource
from hierflow.spec import ImageSetSpec, StorageSpec
from hierflow.stages.context import Stage
from hierflow.stages.embedding.embeddings import embed

Float = npt.NDArray[np.float64]
Encode = Callable[[Sequence[str]], Float]

NEW_SUBJECTS = (
    "a steam locomotive", "a bowl of ramen", "an astronaut", "a beehive", "a chess board", "a volcano",
)  # fmt: skip
NEW_SCENES = (
    "a fisherman mending his nets at dawn", "two cats asleep on a radiator", "a tram crossing a bridge in the rain",
)  # fmt: skip
_TEMPLATE = re.compile(r"A (?P<style>.+?) painting of (?P<subject>.+), (?P<place>.+)")
STAYING = 0.7
"""The share of a list that founds the set where nothing more can be drawn like it."""


class LivingSet(NamedTuple):
    """A set, and prompts that may join it, in the order of their coming.

    Attributes:
        name: of the set.
        founding: what its tree is made from.
        alike: new prompts drawn as those were.
        unseen: new prompts of clusters that no founding prompt is of.
        encode: texts to embeddings, a row each.
    """

    name: str
    founding: list[str]
    alike: list[str]
    unseen: list[str]
    encode: Encode


def prompt_templates(folder: Path) -> LivingSet:
    """2,000 of the 8,000 combinations of styles, subjects and places; the unseen are of other subjects."""
    founding = _lines(folder / "prompt_templates.txt")
    found = [match.groupdict() for match in map(_TEMPLATE.fullmatch, founding) if match]
    styles, subjects, places = (sorted({each[axis] for each in found}) for axis in ("style", "subject", "place"))
    alike = _mixed(_painting(*each) for each in product(styles, subjects, places))
    unseen = _mixed(_painting(*each) for each in product(styles, NEW_SUBJECTS, places))
    return LivingSet(
        "prompt_templates", founding, [text for text in alike if text not in set(founding)], unseen, word_vectors()
    )


def style_variations(folder: Path) -> LivingSet:
    """One scene in 100 styles: 70 found the set, the others come; the unseen are of other scenes."""
    texts = _mixed(_lines(folder / "style_variations.txt"))
    count = round(STAYING * len(texts))
    styles = [text.rsplit(", ", 1)[1] for text in texts]
    unseen = _mixed(f"{scene}, {style}" for scene, style in product(NEW_SCENES, styles))
    return LivingSet("style_variations", texts[:count], texts[count:], unseen, word_vectors())


def mini_catalogue(work: Path, size: int = 1000) -> LivingSet:
    """`size` prompts of the mini model's world; the unseen are of other products. Embeddings are kept in `work`."""
    catalogue = draw(size, size // 2, seed=0)
    stage = Stage(
        ImageSetSpec(
            name="mini_catalogue",
            prompts=PromptSource(text=catalogue.founding),
            storage=StorageSpec(path=str(work)),
        ),
        work,
        None,
        run="bench",
        invocation="bench",
    )
    stage.store.claim()

    def encode(texts: Sequence[str]) -> Float:
        found = embed(stage, PromptSet(tuple(texts), tuple(texts)))
        row = {text: index for index, text in enumerate(found.texts)}
        return found.vectors[[row[text] for text in texts]]

    return LivingSet("mini_catalogue", catalogue.founding, catalogue.alike, catalogue.unseen, encode)


def word_vectors() -> Encode:
    """WordLlama's 256 dimensions, from the files in its package.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    import wordllama

    # It looks for its tokenizer in a folder that its package does not have; as a cache it finds the right one.
    model = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
    return lambda texts: np.asarray(model.embed(list(texts)), dtype=np.float64)


def _painting(style: str, subject: str, place: str) -> str:
    return f"A {style} painting of {subject}, {place}"


def _lines(path: Path) -> list[str]:
    return list(dict.fromkeys(path.read_text("utf-8").splitlines()))


def _mixed(texts: Iterable[str]) -> list[str]:
    every = list(texts)
    return [every[index] for index in np.random.default_rng(0).permutation(len(every))]
