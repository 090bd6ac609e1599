"""Prompts to conditioning, what the text encoders and the prior make of each, and to what the tree clusters by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from hierflow.hashing import text_hash
from hierflow.models.adapter import Adapter
from hierflow.models.runtime import FIXED_BATCH
from hierflow.prompts import PromptSet
from hierflow.stages.context import Stage
from hierflow.stages.encoding import booked, check_finite, encode, ensure_stored, lost_embeddings
from hierflow.store.conditioning import Conditioning, stacked, wide
from hierflow.tree.planted import CONDITIONING, Clustering

OF_NOTHING = text_hash("")
"""A negative prompt is encoded beside the empty text; it does not depend on the prompt beside it."""

Vectors = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Embeddings:
    """The distinct prompts of a set, in the order of their hashes, and what the tree clusters them by.

    Their conditioning lies in the store and stays there: it can be larger than memory.

    Attributes:
        texts, hashes: the prompts and their hashes, ascending by hash, so that the order of the source has no say.
        vectors: (N, D) what the tree clusters by.
        computed: how many prompts were encoded just now; the others came from the store.
    """

    texts: tuple[str, ...]
    hashes: tuple[str, ...]
    vectors: Vectors
    computed: int


def embed(stage: Stage, prompts: PromptSet) -> Embeddings:
    """Encode every distinct prompt whose conditioning is not stored, and find what the tree clusters by.

    Raises:
        RunError: a model gave NaN for a prompt.
    """
    by_hash = dict(sorted(zip(prompts.hashes, prompts.distinct, strict=True)))
    cache = stage.store.conditioning(stage.adapter.encoder_fingerprint)
    held = cache.held()
    missing = {text: by_hash[text] for text in by_hash if text not in held}
    if missing:
        encode(stage, stage.adapter, cache, missing)
    for negative in sorted({row.negative_prompt for row in prompts.settings if row.negative_prompt is not None}):
        _embed_negative(stage, negative)
    return Embeddings(
        texts=tuple(by_hash.values()),
        hashes=tuple(by_hash),
        vectors=tree_vectors(stage, stage.adapter.encoder_fingerprint, tuple(by_hash), by_hash),
        computed=len(missing),
    )


def clustering(stage: Stage) -> Clustering:
    """What the document says that the tree is clustered by."""
    return stage.embedder.clustering if stage.embedder else CONDITIONING


def tree_vectors(stage: Stage, encoder: str, hashes: Sequence[str], texts: Mapping[str, str]) -> Vectors:
    """(N, D) what the tree clusters by, computing what is not stored.

    Args:
        stage: the set.
        encoder: fingerprint of what made the prompts' conditioning.
        hashes: of the prompts.
        texts: theirs, as far as they are known; those of retired prompts are not.

    Raises:
        RunError: a model gave NaN for a prompt, or what is needed of a prompt without text is lost.
    """
    embedder = stage.embedder
    cache = stage.store.embeddings(embedder.clustering.fingerprint if embedder else encoder)
    found = {text: row["vector"] for text, row in cache.read(hashes).items()}
    lacking = [text for text in dict.fromkeys(hashes) if text not in found]
    if lacking:
        cache.forget_damaged()
        if embedder is None:
            made = _of_conditioning(stage, encoder, lacking, texts)
        else:
            if lost := [text for text in lacking if text not in texts]:
                raise lost_embeddings(len(lost))
            with booked(stage, len(lacking), cache) as booking:
                shown = [texts[text] for text in lacking]
                made = embedder.vectors(shown)
                check_finite({"vector": made}, shown, f"{embedder.clustering.name}, which the tree clusters by,")
                booking.progress.advance(len(lacking))
        cache.write(lacking, {"vector": made})
        found |= dict(zip(lacking, made, strict=True))
    return np.stack([found[text] for text in hashes])


def _of_conditioning(stage: Stage, encoder: str, hashes: Sequence[str], texts: Mapping[str, str]) -> Vectors:
    """The same from stored conditioning, of which few prompts' is in memory at a time."""
    made = dict(_read_off(stage, encoder, hashes))
    if lost := [text for text in hashes if text not in made]:
        ensure_stored(stage, encoder, lost, texts)
        made |= dict(_read_off(stage, encoder, lost))
    return np.stack([made[text] for text in hashes])


def _read_off(stage: Stage, encoder: str, hashes: Sequence[str]) -> Iterator[tuple[str, Vectors]]:
    rows = stage.store.conditioning(encoder).rows(hashes)
    while few := dict(islice(rows, FIXED_BATCH)):
        yield from zip(few, stage.adapter.tree_embeddings(stacked(map(wide, few.values()))), strict=True)


def _embed_negative(stage: Stage, negative: str) -> None:
    """Store what a negative prompt that rows set puts in place of the document's."""
    adapter = _guided_from(stage, negative)
    cache = stage.store.conditioning(adapter.encoder_fingerprint)
    if not cache.read([OF_NOTHING]):
        encode(stage, adapter, cache, {OF_NOTHING: ""})


def stored_negative(stage: Stage, negative: str) -> Conditioning:
    """The part of the conditioning that a negative prompt decides, as an earlier stage stored it, without a row axis.

    Raises:
        RunError: it has been lost since.
    """
    rows = stage.store.conditioning(negative_encoder(stage, negative)).read([OF_NOTHING])
    if not rows:
        raise lost_embeddings(1)
    return {name: array for name, array in rows[OF_NOTHING].items() if name.startswith("negative_")}


def negative_encoder(stage: Stage, negative: str) -> str:
    """The fingerprint under which :data:`OF_NOTHING` is stored for a negative prompt that rows set."""
    return _guided_from(stage, negative).encoder_fingerprint


def _guided_from(stage: Stage, negative: str) -> Adapter:
    return stage.adapter.varied(negative_prompt=negative, width=None, height=None)
