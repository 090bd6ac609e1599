"""Keyed noise: every draw depends on what is drawn for, never on when or beside whom.

A draw is keyed by (seed, image index, r, k). r is the smallest text hash among a node's founding members, so of
all its children exactly one goes on with its parent's stream, and a prompt has its own key once it is alone.
k is the step, or -1 for the initial noise. Model, tau, guidance, tree and batch have no say, so comparisons
between them are paired, and neither order, partitioning nor a resume changes a draw.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hierflow.hashing import seed_from

if TYPE_CHECKING:
    import torch

INITIAL = -1
_SHARED = "shared"


def noise_seed(seed: int, image_index: int, representative: str, step: int) -> int:
    """The seed of one draw, in 0 .. 2**63 - 1."""
    return seed_from("hierflow noise 1", seed, image_index, representative, step)


def generator(seed: int, image_index: int, representative: str, step: int) -> torch.Generator:
    """A CPU generator for one draw; CPU, so that every device sees the same noise."""
    import torch

    return torch.Generator().manual_seed(noise_seed(seed, image_index, representative, step))


def initial_generator(seed: int, image_index: int, representative: str, initial_noise: str) -> torch.Generator:
    """The generator of x_T for `initial_noise` "per_root" or "shared"."""
    key = _SHARED if initial_noise == "shared" else representative
    return generator(seed, image_index, key, INITIAL)
