"""From what a set may cost to the tau at which it costs that."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hierflow.errors import InputError
from hierflow.plan.schedule import Steps
from hierflow.plan.segments import compile_plan
from hierflow.tree.embedding_tree import EmbeddingTree

_ROUNDING, _SMALL = 1e-12, 1e-6


def tau_within(
    budget: float, tree: EmbeddingTree, steps: Steps, lanes: Sequence[npt.NDArray[np.int64]] | None = None
) -> float:
    """The smallest tau at which a plan takes at most `budget` of the standard evaluations.

    What a plan takes falls with tau, and only where phi reaches the height of some node at some step: the search is
    over these values, and exact. Where less than a set's own budget is asked for, nothing is shared, tau 0.

    Args:
        budget: planned / standard, in (0, 1].
        tree: the tree.
        steps: as :func:`hierflow.plan.segments.compile_plan` takes them.
        lanes: the prompts (leaves of the tree) that share a frontier, for each of them; by default all share one.

    Raises:
        InputError: no tau makes the set so cheap.
    """
    own = [np.arange(tree.leaves)] if lanes is None else list(lanes)

    def share(tau: float) -> float:
        plan = compile_plan(tree, tau, steps)
        planned = sum(plan.steps_of(plan.leading_to(leaves)) for leaves in own)
        return planned / (sum(map(len, own)) * plan.steps)

    count = len(steps) if isinstance(steps, tuple) else steps
    reach = (count - 1) / np.arange(1, max(count, 2), dtype=np.float64)  # tau over phi, of every step that can share
    heights = tree.heights[tree.heights > 0]
    least = _SMALL * (float(heights.min()) if len(heights) else 1.0)  # lets only what is at height 0 share
    # A hair above, so that rounding does not put phi below the height it should reach.
    taus = np.unique(np.concatenate([[0.0, least], np.outer(heights, reach).ravel() * (1 + _ROUNDING)]))
    if share(float(taus[-1])) > budget:
        raise InputError(
            f"is less than this set can be made for: where all prompts share every step but the last, it still takes "
            f"{share(float(taus[-1])):.4f} of the standard evaluations",
            field="sharing.budget",
            value=budget,
            remedy="allow more, or give tau",
        )
    low, high = 0, len(taus) - 1  # taus[high] is within the budget
    while low < high:
        middle = (low + high) // 2
        if share(float(taus[middle])) <= budget:
            high = middle
        else:
            low = middle + 1
    return float(taus[high])
