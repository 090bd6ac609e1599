"""The panels of a plan's picture: the tree over the steps, its labels, and the evaluations a step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hierflow.images.tree_labels import Font, group_label, labelled_nodes, partition_label, words_of
from hierflow.images.tree_layout import FIRST, LiveTree, TreeLayout
from hierflow.plan.segments import Plan
from hierflow.tree import EmbeddingTree

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PAPER, CARD, INK, FAINT, APART, GRID = "#fafaf8", "#ffffff", "#3c3c3a", "#80807a", "#b9b9b2", "#e9e9e4"
TRUNK, PLANNED, SAVED = "#4a4a48", "#8fb3cf", "#dcebd8"
COLOURS = ("#3f73a8", "#c4743f", "#4e9070", "#8b6cb0", "#b3933a", "#b95f7c", "#4797a3", "#86815a")
"""Of the partitions, in turn."""
TEXT = Font(8)
ROW = 13.5
"""Pixels from a line of text to the next."""

_FINEST = 400  # nodes with less than this part of the prompts are drawn as one wedge


def draw_tree(ax: Axes, drawn: LiveTree, layout: TreeLayout, rows: float) -> None:
    """Lines and splits of the nodes large enough to see, and a wedge for each part below them."""
    from matplotlib.collections import LineCollection, PolyCollection
    from matplotlib.patches import Rectangle

    tree, right = drawn.plan.tree, FIRST + drawn.plan.steps
    seen = (tree.sizes > 1) & (tree.sizes * _FINEST >= tree.leaves)
    has_line = np.append(seen[tree.parents[:-1]], True)
    lines, splits = np.flatnonzero(has_line), np.flatnonzero(seen)
    wedges = np.flatnonzero(has_line & ~seen & (tree.sizes > 1))
    tints = np.array([_colour(index) for index in drawn.owners])
    shapes = [_wedge(tree, layout, int(node), right) for node in wedges]
    across = [[(layout.start[n], layout.y[n]), (layout.end[n], layout.y[n])] for n in lines]
    down = [[(layout.end[n], layout.y[child]) for child in tree.merges[n - tree.leaves]] for n in splits]
    room = rows * 72 / 100 * tree.sizes[lines] / tree.leaves  # in points, as line widths are
    widths = np.clip(0.6 + 0.35 * np.log2(tree.sizes[lines]), 0.5, np.maximum(0.3 * room, 0.7))
    computed, apart = (FIRST, right - FIRST), (layout.left, FIRST - layout.left)
    for (begin, width), colours, thick in ((apart, np.full(len(tints), APART), 0.7), (computed, tints, widths)):
        for collection in (
            PolyCollection(shapes, facecolors=colours[wedges], alpha=0.45),
            LineCollection(down, colors=colours[splits], linewidths=0.7, capstyle="projecting"),
            LineCollection(across, colors=colours[lines], linewidths=thick, capstyle="butt"),
        ):
            ax.add_collection(collection, autolim=False)
            collection.set_clip_path(Rectangle((begin, -1), width, tree.leaves + 1, transform=ax.transData))
    ax.axvspan(FIRST, right, color=CARD, zorder=0)
    ax.set(xlim=(layout.left, right), ylim=(tree.leaves - 0.5, -0.5), facecolor=PAPER)
    ax.set_yticks([])


def _wedge(tree: EmbeddingTree, layout: TreeLayout, node: int, right: float) -> list[tuple[float, float]]:
    """A part too fine to draw: from its split to where its prompts are alone."""
    top = tree.leaf_starts[node] - 0.5
    bottom, full = top + tree.sizes[node], min(layout.full[node], right)
    return [(layout.end[node], layout.y[node]), (full, top), (right, top), (right, bottom), (full, bottom)]


def draw_thresholds(ax: Axes, plan: Plan) -> None:
    """Above the tree: phi, falling from tau to 0."""
    parts = (1.0, 0.75, 0.5, 0.25, 0.0) if plan.tau and plan.steps > 4 else (0.0,)
    places = [1 + (plan.steps - 1) * (1 - part) for part in parts]
    names = [f"{'τ = ' * (part == 1)}{plan.tau * part:.3g}" for part in parts]
    ax.xaxis.tick_top()
    ax.set_xticks(places, names, fontproperties=TEXT.properties, color=FAINT, parse_math=False)
    ax.tick_params(length=3, color=FAINT, labelbottom=False)
    ax.grid(axis="x", color=GRID, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[:].set_visible(False)
    label = "φ: how far apart (height in the tree) prompts that share the step may be"
    ax.set_title(label, loc="left", fontproperties=TEXT.properties, color=FAINT, pad=6)


def draw_groups(ax: Axes, drawn: LiveTree, rows: float, width: float) -> None:
    """Right of the tree, on `rows` x `width` pixels: the prompts, or what groups of them share."""
    tree, texts = drawn.plan.tree, drawn.texts
    _beside(ax, tree, width)
    common = set.intersection(*(set(words_of(text)) for text in texts))
    for node in labelled_nodes(tree, math.ceil(tree.leaves * ROW / rows - 1e-9)):
        start, size = tree.leaf_starts[node], tree.sizes[node]
        label = group_label([texts[leaf] for leaf in tree.leaf_order[start : start + size]], common)
        write(ax, 0, start + (size - 1) / 2, TEXT.fitted(label, width))


def draw_partitions(ax: Axes, drawn: LiveTree, keys: Sequence[str], rows: float, width: float) -> None:
    """Bars where a partition's prompts are, and its key at the longest, unless it would touch the one above."""
    tree = drawn.plan.tree
    _beside(ax, tree, width)
    pixel = tree.leaves / rows  # in prompts, as all heights below
    line, free = ROW * pixel, -math.inf
    owner = drawn.owners[tree.leaf_order]
    starts = np.flatnonzero(np.diff(owner, prepend=-2))
    lengths = np.diff(starts, append=tree.leaves)
    for start, length in zip(starts - 0.5, lengths.tolist(), strict=True):
        index = int(owner[int(start + 0.5)])
        space, colour = min(pixel, 0.2 * length), _colour(index)
        ax.plot([2, 2], [start + space, start + length - space], color=colour, linewidth=3, solid_capstyle="butt")
        middle = start + length / 2
        if length < lengths[owner[starts] == index].max() or middle - 0.4 * line < free:
            continue
        room = int(min(length, 2 * (middle - free)) / line)
        label = partition_label(keys[index], int((owner == index).sum()), room, TEXT, width - 10)
        free = middle + len(label) / 2 * line
        for place, text in enumerate(label):
            write(ax, 10, free - (len(label) - place - 0.5) * line, text, TEXT, colour)


def draw_frontier(ax: Axes, sizes: npt.NDArray[np.int64], standard: int, layout: TreeLayout) -> None:
    """Below the tree: evaluations a step, with sharing (`sizes`) and without."""
    count = len(sizes)
    right, edges = FIRST + count, FIRST + np.arange(count + 1)
    ax.stairs(np.full(count, standard), edges, fill=True, color=SAVED)
    ax.stairs(sizes, edges, fill=True, color=PLANNED)
    ax.stairs(sizes, edges, baseline=None, color=COLOURS[0], linewidth=1)
    ax.plot([FIRST, right], [standard, standard], color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)))
    ax.set(xlim=(layout.left, right), ylim=(0, standard * 1.06), facecolor=PAPER)
    ax.spines["left"].set_position(("data", FIRST))
    ax.set_yticks([0, standard], ["0", f"{standard:,}"], fontproperties=TEXT.properties, color=FAINT)
    steps = _steps(count)
    ax.set_xticks(steps, [str(step) for step in steps], fontproperties=TEXT.properties, color=FAINT)
    ax.tick_params(length=3, color=FAINT)
    ax.spines[:].set_visible(False)
    ax.set_xlabel("denoising step", fontproperties=TEXT.properties, color=FAINT)
    ax.set_title("evaluations a step", loc="left", fontproperties=TEXT.properties, color=FAINT, pad=4)


def _steps(steps: int) -> list[int]:
    """About five steps to name on the axis, the first and the last among them."""
    stride = next(size for power in (1, 10, 100, 1000) for size in (power, 2 * power, 5 * power) if steps <= 6 * size)
    between = range(stride, steps, stride)
    return sorted({1, steps, *(step for step in between if stride > 1 and steps - step > stride / 2)})


def _beside(ax: Axes, tree: EmbeddingTree, width: float) -> None:
    """Make the units of `ax` the tree's prompts, and pixels across."""
    ax.set(xlim=(0, width), ylim=(tree.leaves - 0.5, -0.5))
    ax.set_axis_off()


def _colour(partition: int) -> str:
    return TRUNK if partition < 0 else COLOURS[partition % len(COLOURS)]


def write(ax: Axes, x: float, y: float, text: str, font: Font = TEXT, colour: str = INK) -> None:
    """One line of text, vertically centred on `y`, with nothing in it read as a formula."""
    ax.text(x, y, text, va="center_baseline", color=colour, fontproperties=font.properties, parse_math=False)
