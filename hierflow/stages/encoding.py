"""Encoding prompts: their conditioning is made, stored and booked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from hierflow.errors import RunError
from hierflow.models.adapter import Adapter
from hierflow.models.power import Hold
from hierflow.models.runtime import FIXED_BATCH
from hierflow.progress import Progress
from hierflow.stages.context import Stage, Stopwatch
from hierflow.store.conditioning import Conditioning, ConditioningCache
from hierflow.store.ledger import OpenEntry

SHARD = 64
"""Prompts encoded between two writes, at most: what a crash can cost."""
SHARD_BYTES = 256 << 20
"""Fewer prompts are encoded between two writes where their conditioning is larger than this, but a whole batch."""


def encode(stage: Stage, adapter: Adapter, cache: ConditioningCache, by_hash: Mapping[str, str]) -> None:
    """Encode prompts (text by hash) and store them, in place of what is damaged."""
    cache.forget_damaged()
    hashes, size, done = list(by_hash), FIXED_BATCH, 0
    with booked(stage, len(hashes), cache) as booking:
        while done < len(hashes):
            shard = hashes[done : done + size]
            texts = [by_hash[text] for text in shard]
            made = adapter.encode(texts, shard)
            booking.note(len(shard) * adapter.prior_evaluations_per_prompt)
            check_finite(made, texts)
            cache.write(shard, made)
            booking.progress.advance(len(shard))
            done += len(shard)
            a_prompt = sum(array.nbytes for array in made.values()) // len(shard)
            size = max(FIXED_BATCH, min(SHARD, SHARD_BYTES // max(1, a_prompt)))


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
    encode(stage, stage.adapter, cache, {text: texts[text] for text in sorted(lost)})


@dataclass
class Booking:
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
def booked(stage: Stage, prompts: int, cache: ConditioningCache) -> Iterator[Booking]:
    """Books what is done within, also where it breaks off."""
    hold, watch = Hold(stage.adapter.runtime.device), Stopwatch()
    booking = Booking(stage.open_entry("embeddings"), hold, stage.progress("embedding prompts", prompts))
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


def check_finite(made: Conditioning, texts: Sequence[str], maker: str = "the prior") -> None:
    """Refuse what is not finite.

    Raises:
        RunError: `maker` gave NaN for one of `texts`.
    """
    for array in made.values():
        finite = np.isfinite(array.reshape(len(texts), -1)).all(axis=1)
        if not finite.all():
            prompt = texts[int(np.argmin(finite))]
            raise RunError(f"{maker} gave NaN for the prompt {prompt[:80]!r}; try diffusion.dtype: float32")
