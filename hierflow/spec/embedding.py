"""What the tree clusters the prompts by."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from hierflow.spec.section import Section


class EmbeddingSpec(Section):
    """What the tree clusters the prompts by. A change here founds the tree anew."""

    model_config = ConfigDict(serialize_by_alias=True)

    source: str = Field(
        "conditioning",
        alias="from",
        min_length=1,
        description="`conditioning` (what conditions the images), `text_encoder` (what the text encoder makes of a "
        "prompt, for models whose prior makes an image embedding of it), or a sentence-transformers model: a Hugging "
        "Face hub id or a local folder.",
    )
    revision: str | None = Field(None, description="Branch, tag or commit of a hub model that embeds sentences.")
