"""What a picture of a tree calls its groups of prompts, in the room it has."""

from __future__ import annotations

import re
import textwrap
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hierflow.tree import EmbeddingTree

if TYPE_CHECKING:
    from matplotlib.font_manager import FontProperties

_WORD = re.compile(r"[^\s,;:.!?()\"]+")
_SMALL = frozenset("a an and at by for from in of on the to with".split())  # noqa: SIM905
_UNKNOWN = "□"
_DIGITS, _FOLD = 7, 26  # of a partition's key: its hyphen and digits, and the characters a line


@dataclass(frozen=True)
class Font:
    """One face of the font that comes with matplotlib, so that the machine's own fonts have no say.

    Attributes:
        size: in points; a point is 100/72 pixels.
        bold: the face.
    """

    size: float
    bold: bool = False

    @cached_property
    def properties(self) -> FontProperties:
        """The font as matplotlib's text takes it."""
        from matplotlib.font_manager import FontProperties

        return FontProperties(fname=self._file, size=self.size)

    def drawable(self, text: str) -> str:
        """`text` on one line, with a box for what the font has no glyphs for."""
        boxed = "".join(mark if mark in self._glyphs else _UNKNOWN for mark in " ".join(text.split()))
        return re.sub(f"{_UNKNOWN}+", _UNKNOWN, boxed)

    def fitted(self, text: str, pixels: float) -> str:
        """`text`, drawable, and cut with an ellipsis if it is wider than `pixels`."""
        text = self.drawable(text[: int(pixels)])
        if self.width(text) <= pixels:
            return text
        keep = bisect_right(range(1, len(text)), pixels, key=lambda n: self.width(text[:n] + "…"))
        return text[:keep].rstrip() + "…"

    def width(self, text: str) -> float:
        """Of drawable text, in pixels."""
        face = self._face
        face.set_size(self.size, 100)
        face.set_text(text)
        width: float = face.get_width_height()[0] / 64
        return width

    @property
    def _face(self) -> Any:
        from matplotlib.font_manager import get_font

        return get_font(self._file)  # one a thread, and shared with the renderer, so its size is not ours

    @cached_property
    def _glyphs(self) -> frozenset[str]:
        return frozenset(map(chr, self._face.get_charmap()))

    @cached_property
    def _file(self) -> str:
        from matplotlib import get_data_path

        return str(Path(get_data_path(), "fonts", "ttf", f"DejaVuSans{'-Bold' if self.bold else ''}.ttf"))


def labelled_nodes(tree: EmbeddingTree, least: int) -> Iterator[int]:
    """Disjoint nodes of at least `least` prompts, as small as that allows, from top to bottom."""
    stack = [tree.root]
    while stack:
        node = stack.pop()
        if least <= tree.sizes[node] < 2 * least:
            yield node
        elif tree.sizes[node] > least:
            left, right = tree.merges[node - tree.leaves]
            stack += [int(right), int(left)]


def words_of(text: str) -> list[str]:
    """The words of a prompt, without those that say little."""
    return [word for word in _WORD.findall(text) if word.lower() not in _SMALL]


def group_label(texts: Sequence[str], common: Collection[str]) -> str:
    """What prompts have in common: the words that all of `texts` share, save those that are `common` to the set.

    One prompt is its own label, and where no words are shared the first stands for all.
    """
    if len(texts) == 1:
        return texts[0]
    shared = set.intersection(*(set(words_of(text)) for text in texts)) - set(common)
    words = [word for word in dict.fromkeys(words_of(texts[0])) if word in shared]
    return f"{len(texts)} × {' '.join(words)}" if words else f"{len(texts)}, such as {texts[0]}"


def partition_label(key: str, prompts: int, lines: int, font: Font, pixels: float) -> list[str]:
    """A partition's key and size on at most `lines` lines; the key's digits are always there."""
    size = f"{prompts:,} prompt{'' if prompts == 1 else 's'}"
    tail = key[-_DIGITS:]
    short = font.fitted(key, pixels)
    if short != key:
        short = font.fitted(key[:-_DIGITS], pixels - font.width(tail)) + tail
    if lines < 2:
        return [short]
    folded = textwrap.wrap(key.replace("-", "- "), _FOLD)
    whole = [font.fitted(line.replace("- ", "-"), pixels) for line in folded]
    return [*(whole if len(whole) < lines else [short]), size]
