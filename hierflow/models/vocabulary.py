"""What the embedded model has words for."""

from __future__ import annotations

import re
from collections.abc import Sequence

MINI_VOCABULARY = frozenset(
    """
    a an of on in under front the
    photo flat illustration line drawing watercolor painting pixel art
    red orange yellow green blue purple pink brown black white
    plain striped dotted checked
    mug bottle chair lamp shoe hat bag ball car house tree fish
    studio wooden table grass sandy beach starry night sky brick wall cloudy city street
    """.split()  # noqa: SIM905 - a list of forty strings reads worse
)
"""Every word of the catalogue the mini model was trained on."""

_SHOWN = 8


def mini_warnings(texts: Sequence[str]) -> list[str]:
    """One sentence that names the words the mini model has never seen; empty if it knows them all."""
    unknown: dict[str, int] = {}
    for text in texts:
        for word in set(re.findall(r"[^\W_]+", text.lower())) - MINI_VOCABULARY:
            unknown[word] = unknown.get(word, 0) + 1
    if not unknown:
        return []
    words = sorted(unknown, key=lambda word: (-unknown[word], word))
    shown = ", ".join(f"{word!r}" for word in words[:_SHOWN])
    rest = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return [
        f"the mini model draws only its own catalogue and has never seen {shown}{rest}: "
        "pictures of such prompts mean nothing (see hierflow/mini/README.md)"
    ]
