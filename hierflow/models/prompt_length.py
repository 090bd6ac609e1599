"""Prompts that are longer than what reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hierflow.models.quiet import quiet_libraries
from hierflow.models.repository import Repository


def too_long(
    repository: Repository,
    tokenizer: str,
    reads: int | None,
    texts: Sequence[str],
    tokens: Callable[[Any, str], int],
) -> list[str]:
    """One sentence if some of `texts` have more tokens than are read; empty if none has.

    Args:
        repository: of the text encoder.
        tokenizer: its component.
        reads: how many tokens are read; None for as many as the tokenizer was saved with.
        texts: the prompts.
        tokens: (tokenizer, text) -> how many tokens the encoder would have to read.
    """
    import transformers

    with quiet_libraries():
        kind = getattr(transformers, repository.classes[tokenizer][1])
        reader = kind.from_pretrained(repository.folder / tokenizer, local_files_only=True)
        limit = reads or reader.model_max_length
        long = [text for text in texts if tokens(reader, text) > limit]
    if not long:
        return []
    shown = f"such as {long[0][:60]!r}"
    return [f"{len(long)} prompts are longer than the {limit} tokens the text encoder reads, {shown}"]
