"""Prompts to conditioning, what the text encoders and the prior make of each, and to what the tree clusters by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from hierflow.errors import RunError
from hierflow.hashing import text_hash
from hierflow.models.adapter import Adapter
from hierflow.models.power import Hold
from hierflow.models.runtime import FIXED_BATCH
from hierflow.progress import Progress
from hierflow.prompts import PromptSet
from hierflow.stages.context import Stage, Stopwatch
from hierflow.store.conditioning import Conditioning, ConditioningCache, stacked, wide
from hierflow.store.ledger import OpenEntry
from hierflow.tree.planted import CONDITIONING, Clustering

SHARD = 64
"""Prompts encoded between two writes, at most: what a crash can cost."""
SHARD_BYTES = 256 << 20
"""Fewer prompts are encoded between two writes where their conditioning is larger than this, but a whole batch."""

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
        _encode(stage, stage.adapter, cache, missing)
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


def tree_vectors(
    stage: Stage, encoder: str, hashes: Sequence[str], texts: Mapping[str, str] | None = None
) -> Vectors:
    """(N, D) what the tree clusters by, computing what is not stored.

    Args:
        stage: the set.
        encoder: fingerprint of what made the prompts' conditioning.
        hashes: of the prompts.
        texts: theirs, as far as they are known; those of retired prompts are not.

    Raises:
        RunError: a model gave NaN for a prompt, or what is needed of a prompt without text is lost.
    """
    embedder, known = stage.embedder, texts or {}
    cache = stage.store.embeddings(embedder.clustering.fingerprint if embedder else encoder)
    found = {text: row["vector"] for text, row in cache.read(hashes).items()}
    lacking = [text for text in dict.fromkeys(hashes) if text not in found]
    if lacking:
        cache.forget_damaged()
        if embedder is None:
            made = _of_conditioning(stage, encoder, lacking, known)
        else:
            if lost := [text for text in lacking if text not in known]:
                raise lost_embeddings(len(lost))
            with _booked(stage, len(lacking), cache) as booking:
                made = embedder.vectors([known[text] for text in lacking])
                _check_finite({"vector": made}, [known[text] for text in lacking])
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


def ensure_stored(stage: Stage, encoder: str, hashes: Sequence[str], texts: Mapping[str, str]) -> None:
    """Read the conditioning of `hashes` through, and encode again what is lost or damaged.

    Args:
        stage: the set.
        encoder: fingerprint of what made it.
        hashes: of the prompts.
        texts: theirs, as far as they are known.

    Raises:
        RunError: it is lost, and cannot be made again as the text is not known or the model is another one.
    """
    cache = stage.store.conditioning(encoder)
    lost = set(hashes)
    for text, _ in cache.rows(hashes):
        lost.discard(text)
    if not lost:
        return
    if encoder != stage.adapter.encoder_fingerprint or not lost <= texts.keys():
        raise lost_embeddings(len(lost))
    _encode(stage, stage.adapter, cache, {text: texts[text] for text in sorted(lost)})


def _embed_negative(stage: Stage, negative: str) -> None:
    """Store what a negative prompt that rows set puts in place of the document's."""
    adapter = _guided_from(stage, negative)
    cache = stage.store.conditioning(adapter.encoder_fingerprint)
    if not cache.read([OF_NOTHING]):
        _encode(stage, adapter, cache, {OF_NOTHING: ""})


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


def _encode(stage: Stage, adapter: Adapter, cache: ConditioningCache, by_hash: Mapping[str, str]) -> None:
    """Encode prompts (text by hash) and store them, in place of what is damaged."""
    cache.forget_damaged()
    hashes, size, done = list(by_hash), FIXED_BATCH, 0
    with _booked(stage, len(hashes), cache) as booking:
        while done < len(hashes):
            shard = hashes[done : done + size]
            texts = [by_hash[text] for text in shard]
            made = adapter.encode(texts, shard)
            booking.note(len(shard) * adapter.prior_evaluations_per_prompt)
            _check_finite(made, texts)
            cache.write(shard, made)
            booking.progress.advance(len(shard))
            done += len(shard)
            a_prompt = sum(array.nbytes for array in made.values()) // len(shard)
            size = max(FIXED_BATCH, min(SHARD, SHARD_BYTES // max(1, a_prompt)))


@dataclass
class _Booking:
    """Books encoding in its ledger entry."""

    entry: OpenEntry
    hold: Hold
    progress: Progress
    prior_evaluations: int = 0

    def note(self, prior_evaluations: int) -> None:
        """So many more steps of the prior have been made."""
        self.prior_evaluations += prior_evaluations
        self.entry.note(0, **self.so_far())

    def so_far(self) -> dict[str, Any]:
        """What it has taken."""
        return {"prior_evaluations": self.prior_evaluations, **self.hold.taken()}


@contextmanager
def _booked(stage: Stage, prompts: int, cache: ConditioningCache) -> Iterator[_Booking]:
    """Books what is done within, also where it breaks off."""
    hold, watch = Hold(stage.adapter.runtime.device), Stopwatch()
    booking = _Booking(stage.open_entry("embeddings"), hold, stage.progress("embedding prompts", prompts))
    try:
        yield booking
    except BaseException as error:
        watch.lap("encode")
        told = f"{type(error).__name__}: {error}"
        booking.entry.close("failed", error=told, seconds=watch.rounded(), **booking.so_far())
        raise
    booking.progress.close()
    watch.lap("encode")
    booking.entry.close("done", seconds=watch.rounded(), damaged=tuple(cache.damaged), **booking.so_far())


def lost_embeddings(prompts: int) -> RunError:
    """What to say where embeddings of so many prompts are gone and cannot be made again."""
    return RunError(
        f"the stored embeddings of {prompts} prompts that the tree was made from are lost or damaged; "
        "launch the set's job again, and if that does not help rebuild the tree: hierflow run SPEC --rebuild"
    )


def _check_finite(made: Conditioning, texts: list[str]) -> None:
    for array in made.values():
        finite = np.isfinite(array.reshape(len(texts), -1)).all(axis=1)
        if not finite.all():
            prompt = texts[int(np.argmin(finite))]
            raise RunError(f"the prior gave NaN for the prompt {prompt[:80]!r}; try diffusion.dtype: float32")
