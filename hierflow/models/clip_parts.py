"""A CLIP model in the parts that compare an image with a text."""

from __future__ import annotations

from typing import Any, NamedTuple


class ClipParts(NamedTuple):
    """The parts, loaded.

    Attributes:
        text_encoder: a `CLIPTextModelWithProjection`.
        tokenizer: its tokenizer.
        image_encoder: a `CLIPVisionModelWithProjection` of the same embedding space.
        image_processor: its image processor.
    """

    text_encoder: Any
    tokenizer: Any
    image_encoder: Any
    image_processor: Any
