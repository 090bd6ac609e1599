"""Prompts that cannot be encoded: each is left out of tree and plan, and told of, and the others are made."""

from __future__ import annotations

from collections.abc import Mapping

from hierflow.errors import RunError
from hierflow.prompts import PromptSet

MOST = 0.5
"""The share of a set's rows that may be left out. Beyond it the model or its precision is at fault, not a prompt:
what helps then makes every image anew, and whatever had been made of the rest would be thrown away."""


def left_out_of(prompts: PromptSet, texts: Mapping[str, str], negatives: Mapping[str, str]) -> dict[str, str]:
    """Why rows of a set are left out, by their prompt ids, in the order of the set.

    Args:
        prompts: the set.
        texts: why a prompt cannot be encoded, by its hash.
        negatives: the same of negative prompts that rows set, by their texts.

    Raises:
        RunError: these are more than :data:`MOST` of the rows.
    """
    found: dict[int, str] = {row: why for text, why in texts.items() for row in prompts.rows_of(text)}
    for row in range(len(prompts)):
        negative = prompts.settings_of(row).negative_prompt
        if negative is not None and negative in negatives:
            found.setdefault(row, negatives[negative])
    left_out = {prompts.ids[row]: found[row] for row in sorted(found)}
    if len(left_out) > MOST * len(prompts):
        why = next(iter(left_out.values()))
        raise RunError(
            f"{len(left_out)} of {len(prompts)} prompts cannot be encoded, too many to go on without: {why}"
        )
    return left_out


def told(left_out: Mapping[str, str]) -> list[str]:
    """A sentence on what is left out of a set; none where nothing is."""
    if not left_out:
        return []
    prompt_id, why = next(iter(left_out.items()))
    many = "a prompt cannot be encoded and is left out:"
    if len(left_out) > 1:
        many = f"{len(left_out)} prompts cannot be encoded and are left out, such as"
    return [f"{many} {prompt_id!r}: {why}"]
