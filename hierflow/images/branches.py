"""A picture of how a plan shares its steps: steps from left to right, prompts in the order of the tree.

Every segment of the plan is a band: as wide as its run of steps, as high as the prompts it serves, and the darker the
more they are. What is lower than a pixel is merged with its neighbours, so the picture of 2,000 prompts is as
light as that of 200.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from hierflow.plan.segments import Plan

LEVELS = (1, 2, 4, 8, 16, 64)
"""The least number of prompts that share a step, for each shade."""
_LEAST_HEIGHT, _MOST_HEIGHT, _LEAF_HEIGHT = 72, 240, 6
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
        table: the segments, as columns: `node`, `last`, `parent`, `start` and `size` (its prompts are `size` places
            of the tree's order from `start` on).
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


class _Band(NamedTuple):
    """A rectangle: pixel rows `top` to `bottom`, steps `first` to `last`, `node` -1 where several are merged."""

    first: int
    last: int
    level: int
    node: int
    top: int
    bottom: int


def branch_map(plan: Plan) -> BranchMap:
    """The picture of `plan`."""
    tree = plan.tree
    height = int(np.clip(tree.leaves * _LEAF_HEIGHT, _LEAST_HEIGHT, _MOST_HEIGHT))
    paths: dict[int, list[str]] = {}
    lines = min(tree.leaves, height)
    for band in _bands(plan, lines, merge=height < lines * _GAP_HEIGHT):
        paths.setdefault(band.level, []).append(_rectangle(band, plan.steps, height / lines))
    return BranchMap(
        steps=plan.steps,
        height=height,
        branches=(int(plan.frontier_sizes[0]), int(plan.frontier_sizes[-1])),
        told=_TOLD.format(tau=plan.tau),
        shades=tuple((level, "".join(paths[level])) for level in sorted(paths)),
        table={
            "steps": plan.steps,
            "leaves": tree.leaves,
            "node": plan.nodes.tolist(),
            "last": plan.last.tolist(),
            "parent": plan.parent.tolist(),
            "start": tree.leaf_starts[plan.nodes].tolist(),
            "size": tree.sizes[plan.nodes].tolist(),
        },
    )


def level_of(size: int) -> int:
    """The shade of a step that `size` prompts share."""
    return int(np.searchsorted(LEVELS, size, side="right")) - 1


def _bands(plan: Plan, lines: int, merge: bool) -> Iterator[_Band]:
    """The bands of `lines` horizontal lines, each drawn for the prompt in its middle.

    If `merge`, neighbours that are one line high become one band where their steps and shades are the same.
    """
    tree, growing = plan.tree, dict[tuple[int, int, int, int], _Band]()
    sampled = tree.leaf_order[((np.arange(lines) + 0.5) * tree.leaves / lines).astype(np.int64)]
    for line, leaf in enumerate(sampled):
        here = {}
        for segment in plan.path(int(leaf)):
            size = int(tree.sizes[plan.nodes[segment]])
            node = -1 if merge and size * lines <= tree.leaves else int(plan.nodes[segment])
            first, last, level = int(plan.first[segment]), int(plan.last[segment]), level_of(size)
            begun = growing.pop((first, last, level, node), None)
            top = begun.top if begun else line
            here[first, last, level, node] = _Band(first, last, level, node, top, line + 1)
        yield from growing.values()
        growing = here
    yield from growing.values()


def _rectangle(band: _Band, steps: int, line_height: float) -> str:
    """A band as a piece of an SVG path, with a gap of about a pixel below it and behind it where there is room."""
    top, bottom = band.top * line_height, band.bottom * line_height
    bottom -= 1 if bottom - top >= _GAP_HEIGHT else 0
    right = band.last - (steps / _ASSUMED_WIDTH if band.last < steps else 0)
    x, y, width, height = (_short(value) for value in (band.first - 1, top, right - band.first + 1, bottom - top))
    return f"M{x} {y}h{width}v{height}h-{width}z"


def _short(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
