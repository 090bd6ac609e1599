"""Entries, rows and accounts to audit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hierflow.audit.account import Audit, account
from hierflow.audit.books import Books
from hierflow.audit.made import Made, set_now
from hierflow.images import ImageRow
from hierflow.plan.lanes import Variant
from hierflow.spec import CostSpec
from hierflow.store.ledger import Entry

NO_PRICES = CostSpec()
BOTH = CostSpec(per_gpu_hour=3.6, per_kwh=0.5, currency="EUR")


def entry(invocation: str = "me", *, gpu: bool = True, **fields: Any) -> Entry:
    """A partition's entry: 100 evaluations in 10 s of denoising and 10 s of everything else."""
    usual: dict[str, Any] = {
        "run": f"run of {invocation}",
        "invocation": invocation,
        "stage": "partition",
        "evaluations": 100,
        "seconds": {"load": 4.0, "denoise": 10.0, "decode": 6.0, "startup": 9.0},
        "device": "cuda:0" if gpu else "cpu",
        "machine": {"gpu": "H200" if gpu else None},
        "gpu_seconds": 20.0 if gpu else 0.0,
        "kwh": 0.002 if gpu else None,
        "standard": 400,
        "planned": 100,
    }
    return Entry(**{**usual, **fields})


def books(standard: int = 400, planned: int = 100, executed: int = 100, **fields: Any) -> Books:
    """Balanced books, unless told otherwise."""
    figures = dict.fromkeys(("reused", "replayed", "redone", "measured", "outstanding", "unaccounted"), 0)
    return Books(**{**figures, **fields}, standard=standard, planned=planned, executed=executed, noted=executed)


ALL_MADE = Made(images=10, standard=400, executed=100)


def accounted(
    own: Sequence[Entry] = (), prices: CostSpec = NO_PRICES, kept: Books | None = None, made: Made = ALL_MADE
) -> Audit:
    """The account of `own`, or of one entry on a GPU, which made ten images; they are what is in the set."""
    own = list(own) or [entry()]
    return account(kept or books(), own, own, made, set_now(ALL_MADE, own, prices), prices)


def row(prompt_id: str = "a", *, prompt: str = "", **fields: Any) -> ImageRow:
    """A current image that carries 25 evaluations, all of them paid by the run of `me`."""
    usual: dict[str, Any] = {
        "prompt_id": prompt_id,
        "image_index": 0,
        "prompt": prompt or prompt_id,
        "axes": {"campaign": "spring"},
        "variant": Variant(0, 64, 64),
        "partition": "mug-1",
        "node_path": "0@1-4",
        "image_path": f"images/{len(prompt_id)}.png",
        "image_sha256": "ab" * 32,
        "evaluations": 25.0,
        "evaluations_paid": 25.0,
        "run_id": "run of me",
    }
    return ImageRow(**{**usual, **fields})
