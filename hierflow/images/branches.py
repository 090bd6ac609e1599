"""A picture of how a plan shares its steps: steps from left to right, prompts in the order of the tree.

Every segment of the plan is a band: as wide as its run of steps, as high as the prompts it serves, and the darker the
more they are. There are at most 240 lines, each for one of the prompts it stands for, so the picture of 2,000 prompts
is as light as that of 240.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hierflow.plan.segments import Plan

LEVELS = (1, 2, 4, 8, 16, 64)
"""The least number of prompts that share a step, for each shade."""
_LEAST_HEIGHT, _MOST_HEIGHT, _MOST_LINE_HEIGHT = 72, 240, 6
_GAP_HEIGHT = 3  # bands of fewer pixels touch: a gap would be as large as they are
_ASSUMED_WIDTH = 400  # in pixels, only to make the gaps between a branch and its own branches about one wide
_TOLD = (
    "A band is a branch: prompts denoised as one. They part where phi, which falls from tau {tau:g} to 0, passes the "
    "height of their node."
)


@dataclass(frozen=True)
class BranchMap:
    """The picture, as paths of an SVG, and what a script needs to find a branch in it.

    Attributes:
        steps: its width; a unit is a step.
        height: its height; a unit is a pixel as it is meant to be shown.
        branches: how many branches there are at the first step, and at the last.
        told: how the picture is to be read.
        shades: for each shade that occurs, its place in :data:`LEVELS` and the path of its bands.
        table: the segments, as columns: the name of the `node`, `last`, `parent`, `start` and `size` (its prompts are
            `size` places of the plan's order from `start` on).
    """

    steps: int
    height: int
    branches: tuple[int, int]
    told: str
    shades: tuple[tuple[int, str], ...]
    table: dict[str, Any]

    @property
    def legend(self) -> list[tuple[int, str]]:
        """The shades that occur, with the number of prompts they stand for."""
        return [(level, f"{LEVELS[level]}{'+' if LEVELS[level] > 2 else ''}") for level, _ in self.shades]


def branch_map(plan: Plan, labels: npt.NDArray[np.int64] | None = None) -> BranchMap:
    """The picture of `plan`.

    Args:
        plan: the plan; only its live prompts are drawn.
        labels: (2N - 1,) the names of the tree's nodes; by default their numbers.
    """
    lines = min(plan.leaves, _MOST_HEIGHT)
    line_height = max(min(_MOST_HEIGHT // lines, _MOST_LINE_HEIGHT), math.ceil(_LEAST_HEIGHT / lines))
    paths: dict[int, list[str]] = {}
    for segment, top, bottom in _bands(plan, lines):
        level = level_of(int(plan.sizes[segment]))
        paths.setdefault(level, []).append(_rectangle(plan, segment, top * line_height, bottom * line_height))
    return BranchMap(
        steps=plan.steps,
        height=lines * line_height,
        branches=(int(plan.frontier_sizes[0]), int(plan.frontier_sizes[-1])),
        told=_TOLD.format(tau=plan.tau),
        shades=tuple((level, "".join(paths[level])) for level in sorted(paths)),
        table={
            "steps": plan.steps,
            "leaves": plan.leaves,
            "node": (plan.nodes if labels is None else labels[plan.nodes]).tolist(),
            "last": plan.last.tolist(),
            "parent": plan.parent.tolist(),
            "start": plan.starts.tolist(),
            "size": plan.sizes.tolist(),
        },
    )


def level_of(size: int) -> int:
    """The shade of a step that `size` prompts share."""
    return int(np.searchsorted(LEVELS, size, side="right")) - 1


def _bands(plan: Plan, lines: int) -> Iterator[tuple[int, int, int]]:
    """The segments that `lines` horizontal lines show, each line for the prompt in its middle, with the first line of
    each and the one after its last."""
    begun: dict[int, int] = {}
    for line in range(lines):
        leaf = plan.leaf_order[(2 * line + 1) * plan.leaves // (2 * lines)]
        path = plan.path(int(leaf))
        yield from ((segment, top, line) for segment, top in begun.items() if segment not in path)
        begun = {segment: begun.get(segment, line) for segment in path}
    yield from ((segment, top, lines) for segment, top in begun.items())


def _rectangle(plan: Plan, segment: int, top: int, bottom: int) -> str:
    """A band as a piece of an SVG path, with a gap of about a pixel below it and behind it where there is room."""
    left, right = int(plan.first[segment]) - 1, int(plan.last[segment])
    width = right - left - (min(plan.steps / _ASSUMED_WIDTH, (right - left) / 2) if right < plan.steps else 0)
    height = bottom - top - (bottom - top >= _GAP_HEIGHT)
    return f"M{left} {top}h{_short(width)}v{height}h-{_short(width)}z"


def _short(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
