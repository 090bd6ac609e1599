"""CLIP similarity: does the picture show what the prompt says?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hierflow.models.batches import padded_batches

if TYPE_CHECKING:
    import torch


class ClipSimilarity:
    """The cosine similarity, in [-1, 1], of CLIP's embeddings of an image and of its prompt.

    CLIPScore (Hessel et al., EMNLP 2021, arXiv:2104.08718) without its factor of 2.5 and its clipping at 0.
    Both encoders always see batches of one fixed size, the last one padded, so that a score does not depend
    on its neighbours (to the bit with float32 on a CPU). Texts are padded to the tokenizer's full length, and
    cut there. Encoders are used as they are: on their own devices, in their own types; they are expected in
    evaluation mode, as `from_pretrained` leaves them.

    Args:
        text_encoder: a `CLIPTextModelWithProjection`.
        tokenizer: its tokenizer.
        image_encoder: a `CLIPVisionModelWithProjection` of the same embedding space.
        image_processor: its image processor.
        version: the fingerprint of these four.
        batch: the fixed size of a batch; part of the score's last bits.
    """

    name = "clip_similarity"

    def __init__(
        self,
        text_encoder: Any,
        tokenizer: Any,
        image_encoder: Any,
        image_processor: Any,
        *,
        version: str,
        batch: int = 16,
    ) -> None:
        if batch < 1:
            raise ValueError(f"a batch holds at least one image, not {batch}")
        self.version = version
        self._text_encoder, self._tokenizer = text_encoder, tokenizer
        self._image_encoder, self._image_processor = image_encoder, image_processor
        self._batch = batch

    def score(self, images: Sequence[NDArray[np.uint8]], prompts: Sequence[str]) -> list[float]:
        """The similarity of each image (uint8, height x width x 3) and the prompt beside it; NaN where there is none.

        Raises:
            ValueError: the two lengths differ.
        """
        if len(images) != len(prompts):
            raise ValueError(f"{len(images)} images for {len(prompts)} prompts")
        if not images:
            return []
        texts = self._embedded(list(prompts), self._embed_texts)
        pictures = self._embedded(list(images), self._embed_images)
        cosines = np.clip((_unit(texts) * _unit(pictures)).sum(axis=1), -1.0, 1.0)
        return [float(cosine) for cosine in cosines]

    def image_embeddings(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """The embeddings of at least one image (uint8, height x width x 3): (images, embedding), each of length 1.

        NaN where an encoder gives none.
        """
        return _unit(self._embedded(list(images), self._embed_images))

    def _embedded(self, items: list[Any], embed: Callable[[list[Any]], torch.Tensor]) -> NDArray[np.float64]:
        """`items` through `embed` in full batches: float64, shape (items, embedding)."""
        import torch

        with torch.no_grad():
            batches = [
                embed([items[row] for row in rows])[:live].double().cpu().numpy()
                for rows, live in padded_batches(len(items), self._batch)
            ]
        return np.concatenate(batches)

    def _embed_texts(self, prompts: list[str]) -> torch.Tensor:
        encoder = self._text_encoder
        # A tokenizer saved without a length claims an absurdly large one; the encoder knows how far it goes.
        length = min(self._tokenizer.model_max_length, encoder.config.max_position_embeddings)
        tokens = self._tokenizer(
            prompts, padding="max_length", truncation=True, max_length=length, return_tensors="pt"
        )
        embeddings: torch.Tensor = encoder(tokens.input_ids.to(encoder.device)).text_embeds
        return embeddings

    def _embed_images(self, images: list[NDArray[np.uint8]]) -> torch.Tensor:
        import torch
        from PIL import Image

        encoder = self._image_encoder
        # One at a time: images of several sizes, and no arithmetic shared between neighbours.
        inputs = [
            self._image_processor(images=Image.fromarray(image), return_tensors="pt").pixel_values for image in images
        ]
        pixels = torch.cat(inputs).to(encoder.device, encoder.dtype)
        embeddings: torch.Tensor = encoder(pixels).image_embeds
        return embeddings


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths: NDArray[np.float64] = np.linalg.norm(rows, axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):  # an encoder that overflows gives infinities, which have no direction
        return rows / np.maximum(lengths, np.finfo(np.float64).tiny)
