"""Of prompt_embeddings: which prompts are left out."""

from __future__ import annotations

from collections.abc import Mapping

from hierflow.assets.displays.values import Metadata
from hierflow.assets.tables import table
from hierflow.prompts import PromptSet


def refusals(prompts: PromptSet, left_out: Mapping[str, str]) -> Metadata:
    """Of the check `encoded`: which prompts are left out, and why."""
    if not left_out:
        return {"left_out": 0}
    text_of = dict(zip(prompts.ids, prompts.texts, strict=True))
    rows = ({"prompt_id": name, "prompt": text_of[name], "error": why} for name, why in left_out.items())
    return {"left_out": len(left_out), "prompts": table(rows)}
