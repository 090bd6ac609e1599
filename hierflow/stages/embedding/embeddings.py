"""Prompts to conditioning, what the text encoders and the prior make of each, and to what the tree clusters by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import numpy.typing as npt

from hierflow.conditioning import Conditioning
from hierflow.errors import RunError
from hierflow.hashing import text_hash
from hierflow.models.adapter import Adapter
from hierflow.models.runtime import FIXED_BATCH
from hierflow.prompts import PromptSet
from hierflow.stages.context import Stage
from hierflow.stages.embedding.encoding import (
    encode,
    encoding,
    ensure_stored,
    keep_finite,
    lost_embeddings,
    refusal,
    the_prompt,
)
from hierflow.stages.embedding.left_out import left_out_of
from hierflow.store.conditioning import stacked, wide
from hierflow.tree.planted import CONDITIONING, Clustering

_OTHER_MODEL = "reword it, or name another model: embedding.from"

OF_NOTHING = text_hash("")
"""A negative prompt is encoded beside the empty text; it does not depend on the prompt beside it."""

Vectors = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Embeddings:
    """The distinct prompts of a set, in the order of their hashes, and what the tree clusters them by.

    Their conditioning lies in the store and stays there: it can be larger than memory.

    Attributes:
        texts, hashes: the prompts and their hashes, ascending by hash, so that the order of the source has no say;
            without those that cannot be encoded.
        vectors: (N, D) what the tree clusters by; finite.
        computed: how many prompts were encoded just now; the others came from the store.
        left_out: why rows of the set are left out, by their prompt ids.
    """

    texts: tuple[str, ...]
    hashes: tuple[str, ...]
    vectors: Vectors
    computed: int
    left_out: Mapping[str, str] = field(default_factory=dict)


def embed(stage: Stage, prompts: PromptSet) -> Embeddings:
    """Encode every distinct prompt whose conditioning is not stored, and find what the tree clusters by.

    A prompt that a model gives NaN for is left out, and tried again by the next call; nothing of it is stored.

    Raises:
        RunError: there are too many of these, see :mod:`hierflow.stages.embedding.left_out`.
    """
    encoder = stage.adapter.encoder_fingerprint
    by_hash = dict(sorted(zip(prompts.hashes, prompts.distinct, strict=True)))
    cache = stage.store.conditioning(encoder)
    held = cache.held()
    missing = {text: by_hash[text] for text in by_hash if text not in held}
    refused = encode(stage, stage.adapter, cache, missing) if missing else {}
    asked = sorted({row.negative_prompt for row in prompts.settings if row.negative_prompt is not None})
    negatives = {negative: why for negative in asked if (why := _embed_negative(stage, negative))}
    vectors, unplaced = _vectors(stage, encoder, [text for text in by_hash if text not in refused], by_hash)
    left_out = left_out_of(prompts, refused | unplaced, negatives)
    kept = [text for text in by_hash if any(prompts.ids[row] not in left_out for row in prompts.rows_of(text))]
    return Embeddings(
        texts=tuple(by_hash[text] for text in kept),
        hashes=tuple(kept),
        vectors=np.stack([vectors[text] for text in kept]),
        computed=sum(text in missing for text in kept),
        left_out=left_out,
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
    found, refused = _vectors(stage, encoder, hashes, texts)
    if refused:
        raise RunError(next(iter(refused.values())))
    return np.stack([found[text] for text in hashes])


def _vectors(
    stage: Stage, encoder: str, hashes: Sequence[str], texts: Mapping[str, str]
) -> tuple[dict[str, Vectors], dict[str, str]]:
    """The same, (D,) each by its hash, and why those that have none have none."""
    embedder = stage.embedder
    cache = stage.store.embeddings(embedder.clustering.fingerprint if embedder else encoder)
    found = {text: row["vector"] for text, row in cache.read(hashes).items()}
    lacking = [text for text in dict.fromkeys(hashes) if text not in found]
    if not lacking:
        return found, {}
    cache.forget_damaged()
    if embedder is None:
        made = _of_conditioning(stage, encoder, lacking, texts)
        cache.write(lacking, {"vector": made})
        return found | dict(zip(lacking, made, strict=True)), {}
    if lost := [text for text in lacking if text not in texts]:
        raise lost_embeddings(len(lost))
    with encoding(stage, len(lacking), cache) as (booking, progress):
        made = embedder.vectors([texts[text] for text in lacking])
        whole = keep_finite(cache, lacking, {"vector": made})
        maker = f"{embedder.clustering.name}, which the tree clusters by,"
        refused = {
            text: refusal(maker, the_prompt(texts[text]), embedder.dtype, _OTHER_MODEL)
            for text in lacking
            if text not in whole
        }
        booking.error = next(iter(refused.values()), "")
        progress.advance(len(lacking))
    found |= {text: vector for text, vector in zip(lacking, made, strict=True) if text in whole}
    return found, refused


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


def _embed_negative(stage: Stage, negative: str) -> str:
    """Store what a negative prompt that rows set puts in place of the document's; says why where it cannot."""
    adapter = _guided_from(stage, negative)
    cache = stage.store.conditioning(adapter.encoder_fingerprint)
    if cache.read([OF_NOTHING]):
        return ""
    refused = encode(stage, adapter, cache, {OF_NOTHING: ""}, f"the negative prompt {negative[:80]!r}")
    return refused.get(OF_NOTHING, "")


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
