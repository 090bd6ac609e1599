"""Encoding prompts: their conditioning is made, stored and booked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager

import numpy as np
import numpy.typing as npt

from hierflow.conditioning import Conditioning
from hierflow.errors import RunError
from hierflow.models.adapter import Adapter
from hierflow.models.runtime import FIXED_BATCH
from hierflow.progress import Progress
from hierflow.stages.booking import Booking, booked
from hierflow.stages.context import Stage
from hierflow.store.conditioning import ConditioningCache

SHARD = 64
"""Prompts encoded between two writes, at most: what a crash can cost."""
SHARD_BYTES = 256 << 20
"""Fewer prompts are encoded between two writes where their conditioning is larger than this, but a whole batch."""


def encode(
    stage: Stage, adapter: Adapter, cache: ConditioningCache, by_hash: Mapping[str, str], what: str = ""
) -> dict[str, str]:
    """Encode prompts and store them, in place of what is damaged; what is not finite is not stored.

    Args:
        stage: the set.
        adapter: the model.
        cache: where its conditioning lies.
        by_hash: the texts, by their hashes.
        what: what to call it that is encoded; by default the prompt with its text.

    Returns:
        Why those that are not stored are not, by their hashes.
    """
    cache.forget_damaged()
    hashes, size, done = list(by_hash), FIXED_BATCH, 0
    refused: dict[str, str] = {}
    with encoding(stage, len(hashes), cache) as (booking, progress):
        while done < len(hashes):
            shard = hashes[done : done + size]
            made = adapter.encode([by_hash[text] for text in shard], shard)
            booking.note(prior_evaluations=(done + len(shard)) * adapter.prior_evaluations_per_prompt)
            whole = keep_finite(cache, shard, made)
            for text in shard:
                if text not in whole:
                    refused[text] = _refusal(adapter, what or the_prompt(by_hash[text]))
            progress.advance(len(shard))
            done += len(shard)
            a_prompt = sum(array.nbytes for array in made.values()) // len(shard)
            size = max(FIXED_BATCH, min(SHARD, SHARD_BYTES // max(1, a_prompt)))
        booking.error = next(iter(refused.values()), "")
    return refused


def ensure_stored(stage: Stage, encoder: str, hashes: Sequence[str], texts: Mapping[str, str]) -> None:
    """Read the conditioning of `hashes` through, and encode again what is lost or damaged.

    Args:
        stage: the set.
        encoder: fingerprint of what made it.
        hashes: of the prompts.
        texts: theirs, as far as they are known.

    Raises:
        RunError: it is lost, and cannot be made again: the text is not known, the model is another one, or gives NaN.
    """
    cache = stage.store.conditioning(encoder)
    lost = set(hashes)
    for text, _ in cache.rows(hashes):
        lost.discard(text)
    if not lost:
        return
    if encoder != stage.adapter.encoder_fingerprint or not lost <= texts.keys():
        raise lost_embeddings(len(lost))
    if refused := encode(stage, stage.adapter, cache, {text: texts[text] for text in sorted(lost)}):
        raise RunError(next(iter(refused.values())))


@contextmanager
def encoding(stage: Stage, prompts: int, cache: ConditioningCache) -> Iterator[tuple[Booking, Progress]]:
    """Books the encoding of so many prompts, in place of what is damaged in `cache`, and shows how far it is."""
    with (
        booked(stage, "embeddings", "encode", damaged=tuple(cache.damaged)) as booking,
        closing(stage.progress("embedding prompts", prompts)) as progress,
    ):
        yield booking, progress


def lost_embeddings(prompts: int) -> RunError:
    """What to say where embeddings of so many prompts are gone and cannot be made again."""
    return RunError(
        f"the stored embeddings of {prompts} prompts that the tree was made from are lost or damaged; "
        "launch the set's job again, and if that does not help rebuild the tree: hierflow run SPEC --rebuild"
    )


def keep_finite(cache: ConditioningCache, hashes: Sequence[str], made: Conditioning) -> set[str]:
    """Store the rows of `made` that are finite under those of `hashes` that they belong to; returns these."""
    finite: npt.NDArray[np.bool_] = np.ones(len(hashes), dtype=bool)
    for array in made.values():
        finite &= np.isfinite(array.reshape(len(hashes), -1)).all(axis=1)
    kept = [text for text, is_finite in zip(hashes, finite, strict=True) if is_finite]
    if kept:
        cache.write(kept, {name: array[finite] for name, array in made.items()})
    return set(kept)


def the_prompt(text: str) -> str:
    """What to call a prompt in a sentence."""
    return f"the prompt {text[:80]!r}"


def refusal(maker: str, what: str, dtype: str, otherwise: str) -> str:
    """Why `what` cannot be encoded, and what helps.

    Args:
        maker: what gave NaN for it.
        what: it.
        dtype: the precision that `maker` works in.
        otherwise: what helps where the precision is not to blame.
    """
    remedy = otherwise if dtype == "float32" else "try diffusion.dtype: float32, or reword it"
    return f"{maker} gave NaN for {what}; {remedy}"


def _refusal(adapter: Adapter, what: str) -> str:
    maker = "the prior" if adapter.prior_evaluations_per_prompt else "the text encoder"
    return refusal(maker, what, adapter.runtime.dtype, "reword it, or check the model's files")
