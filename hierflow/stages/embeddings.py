"""Prompts to conditioning: what the text encoders and the prior make of each, made once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hierflow.errors import RunError
from hierflow.hashing import text_hash
from hierflow.models.adapter import Adapter
from hierflow.models.power import Hold
from hierflow.prompts import PromptSet
from hierflow.stages.context import Stage, Stopwatch
from hierflow.store.conditioning import Conditioning, ConditioningCache, stacked

SHARD = 64
"""Prompts encoded between two writes: what a crash can cost."""

OF_NOTHING = text_hash("")
"""A negative prompt is encoded beside the empty text; it does not depend on the prompt beside it."""


@dataclass(frozen=True)
class Embeddings:
    """The distinct prompts of a set, in the order of their hashes, and their conditioning.

    Attributes:
        texts, hashes: the prompts and their hashes, ascending by hash, so that the order of the source has no say.
        conditioning: arrays with one row a prompt.
        vectors: (N, D) what the tree clusters by.
        computed: how many prompts were encoded just now; the others came from the store.
    """

    texts: tuple[str, ...]
    hashes: tuple[str, ...]
    conditioning: Conditioning
    vectors: npt.NDArray[np.float64]
    computed: int


def embed(stage: Stage, prompts: PromptSet) -> Embeddings:
    """The conditioning of every distinct prompt, computing what is not stored.

    Raises:
        RunError: the model gave NaN for a prompt.
    """
    by_hash = dict(sorted(zip(prompts.hashes, prompts.distinct, strict=True)))
    cache = stage.store.conditioning(stage.adapter.encoder_fingerprint)
    rows = cache.read(list(by_hash))
    missing = [text for text in by_hash if text not in rows]
    if missing:
        rows |= _encode(stage, stage.adapter, cache, by_hash, missing)
    for negative in sorted({row.negative_prompt for row in prompts.settings if row.negative_prompt is not None}):
        _embed_negative(stage, negative)
    conditioning = stacked([rows[text] for text in by_hash])
    return Embeddings(
        texts=tuple(by_hash.values()),
        hashes=tuple(by_hash),
        conditioning=conditioning,
        vectors=stage.adapter.tree_embeddings(conditioning),
        computed=len(missing),
    )


def _embed_negative(stage: Stage, negative: str) -> None:
    """Store what a negative prompt that rows set puts in place of the document's."""
    adapter = _guided_from(stage, negative)
    cache, of_nothing = stage.store.conditioning(adapter.encoder_fingerprint), {OF_NOTHING: ""}
    if not cache.read(list(of_nothing)):
        _encode(stage, adapter, cache, of_nothing, list(of_nothing))


def stored_negative(stage: Stage, negative: str) -> Conditioning:
    """The part of the conditioning that a negative prompt decides, as an earlier stage stored it, without a row axis.

    Raises:
        RunError: it has been lost since.
    """
    rows = stored_conditioning(stage, negative_encoder(stage, negative), (OF_NOTHING,))
    return _negative_part({name: array[0] for name, array in rows.items()})


def negative_encoder(stage: Stage, negative: str) -> str:
    """The fingerprint under which :data:`OF_NOTHING` is stored for a negative prompt that rows set."""
    return _guided_from(stage, negative).encoder_fingerprint


def _guided_from(stage: Stage, negative: str) -> Adapter:
    return stage.adapter.varied(negative_prompt=negative, width=None, height=None)


def _negative_part(conditioning: Conditioning) -> Conditioning:
    return {name: array for name, array in conditioning.items() if name.startswith("negative_")}


def _encode(
    stage: Stage, adapter: Adapter, cache: ConditioningCache, by_hash: Mapping[str, str], missing: Sequence[str]
) -> dict[str, Conditioning]:
    """Encode the prompts `missing` (hashes), store them, and book the work, also where it breaks off."""
    hold, watch = Hold(stage.adapter.runtime.device), Stopwatch()
    entry = stage.open_entry("embeddings")
    progress = stage.progress("embedding prompts", len(missing))
    rows: dict[str, Conditioning] = {}
    spent = 0

    def so_far() -> dict[str, Any]:
        return {"prior_evaluations": spent, **hold.taken()}

    try:
        for start in range(0, len(missing), SHARD):
            shard = missing[start : start + SHARD]
            texts = [by_hash[text] for text in shard]
            made = adapter.encode(texts, shard)
            spent += len(shard) * adapter.prior_evaluations_per_prompt
            entry.note(0, **so_far())
            _check_finite(made, texts)
            cache.write(shard, made)
            rows |= {text: {name: array[i] for name, array in made.items()} for i, text in enumerate(shard)}
            progress.advance(len(shard))
    except BaseException as error:
        watch.lap("encode")
        entry.close("failed", error=f"{type(error).__name__}: {error}", seconds=watch.rounded(), **so_far())
        raise
    progress.close()
    watch.lap("encode")
    entry.close("done", seconds=watch.rounded(), damaged=tuple(cache.damaged), **so_far())
    return rows


def stored_conditioning(stage: Stage, encoder: str, hashes: tuple[str, ...]) -> Conditioning:
    """The conditioning of `hashes` as an earlier stage stored it, one row each.

    Raises:
        RunError: some of it has been lost since.
    """
    rows = stage.store.conditioning(encoder).read(hashes)
    lost = [text for text in hashes if text not in rows]
    if lost:
        raise RunError(
            f"the stored embeddings of {len(lost)} prompts that the tree was made from are lost or damaged; "
            "launch the set's job again, and if that does not help rebuild the tree: hierflow run SPEC --rebuild"
        )
    return stacked([rows[text] for text in hashes])


def _check_finite(made: Conditioning, texts: list[str]) -> None:
    for array in made.values():
        finite = np.isfinite(array.reshape(len(texts), -1)).all(axis=1)
        if not finite.all():
            prompt = texts[int(np.argmin(finite))]
            raise RunError(f"the prior gave NaN for the prompt {prompt[:80]!r}; try diffusion.dtype: float32")
