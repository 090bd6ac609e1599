"""The picture of a plan: the embedding tree, step by step, and the evaluations that it saves."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from hierflow.images.tree_labels import Font
from hierflow.images.tree_layout import LiveTree, TreeLayout, lay_out, live_tree
from hierflow.images.tree_panels import (
    FAINT,
    PAPER,
    PLANNED,
    ROW,
    SAVED,
    TEXT,
    draw_frontier,
    draw_groups,
    draw_partitions,
    draw_thresholds,
    draw_tree,
    write,
)
from hierflow.plan.compiled import CompiledPlan
from hierflow.plan.document import PlanDocument
from hierflow.plan.segments import Plan

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _LEFT, _RIGHT, _LABELS, _KEYS = 900, 56, 456, 466, 732  # pixels, from the left edge
_TOP, _GAP, _FRONTIER, _BOTTOM = 98, 30, 104, 44
_SPACE, _LEAST_TREE, _MOST_TREE = 8, 110.0, 540.0
_TITLE = Font(12, bold=True)
_DETAILS = ((1.0, 256), (1.0, 64), (0.8, 32), (0.6, 16))  # of the file: scale, colours


def dendrogram(compiled: CompiledPlan, texts: Sequence[str], limit_bytes: int = 70_000) -> bytes:
    """The tree of `compiled` and its evaluations a step as a PNG of at most `limit_bytes`, 900 pixels wide.

    Lines are nodes, over the denoising steps they serve; partitions are colours. Up to 40 prompts are
    labelled with their texts, more in groups with the words they share. The same plan gives the same bytes.

    Args:
        compiled: the plan.
        texts: the prompts' texts in the order of `compiled.leaf_of`, ascending by hash.
        limit_bytes: the greatest size of the file.

    Raises:
        ValueError: the texts are not one a prompt, or even the coarsest picture exceeds the limit.
    """
    if len(texts) != len(compiled.leaf_of):
        raise ValueError(f"{len(texts)} texts for a plan of {len(compiled.leaf_of)} prompts")
    figure = _figure(compiled, live_tree(compiled, texts))
    for scale, colours in _DETAILS:
        data = _png(figure, scale, colours)
        if len(data) <= limit_bytes:
            return data
    raise ValueError(f"the tree of {len(texts)} prompts does not fit into {limit_bytes} bytes")


def _figure(compiled: CompiledPlan, drawn: LiveTree) -> Figure:
    from matplotlib.figure import Figure

    document = compiled.document
    plan, layout = drawn.plan, lay_out(drawn.plan)
    rows = min(max(plan.leaves * ROW, _LEAST_TREE), _MOST_TREE)
    foot = _TOP + rows + _GAP
    height = foot + _FRONTIER + _BOTTOM
    figure = Figure(figsize=(_WIDTH / 100, height / 100), dpi=100, facecolor=PAPER)

    def axes(left: float, top: float, right: float, tall: float) -> Axes:
        box = (left / _WIDTH, 1 - (top + tall) / height, (right - left) / _WIDTH, tall / height)
        return figure.add_axes(box)

    _draw_head(axes(_LEFT, 0, _WIDTH, _TOP), document, plan)
    tree = axes(_LEFT, _TOP, _RIGHT, rows)
    draw_tree(tree, drawn, layout, rows)
    draw_thresholds(tree, plan)
    groups = axes(_LABELS, _TOP, _KEYS - _SPACE, rows)
    draw_groups(groups, drawn, rows, _KEYS - _LABELS - _SPACE)
    partitions = axes(_KEYS, _TOP, _WIDTH - _SPACE, rows)
    draw_partitions(partitions, drawn, document.keys, rows, _WIDTH - _KEYS - _SPACE)
    standard = document.standard // plan.steps
    draw_frontier(axes(_LEFT, foot, _RIGHT, _FRONTIER), compiled.frontier_sizes, standard, layout)
    _draw_notes(axes(_LABELS, foot, _WIDTH, _FRONTIER + _BOTTOM), document, layout)
    return figure


def _draw_head(ax: Axes, document: PlanDocument, plan: Plan) -> None:
    images = document.images_per_prompt
    _pixels(ax, _WIDTH - _LEFT, _TOP)
    prompts = _counted(plan.leaves, "prompt")
    title = f"{prompts}, {document.saved * 100:.0f} % of {document.standard:,} evaluations saved"
    facts = [
        f"τ = {plan.tau:g}",
        f"{plan.tree.linkage} linkage",
        _counted(plan.steps, "denoising step"),
        _counted(len(document.partitions), "partition"),
        *([f"{images} images a prompt"] if images > 1 else []),
    ]
    write(ax, 0, 24, title, _TITLE)
    write(ax, 0, 44, " · ".join(facts), TEXT, FAINT)


def _draw_notes(ax: Axes, document: PlanDocument, layout: TreeLayout) -> None:
    """Beside the frontier: what the areas hold, and how to read the tree."""
    from matplotlib.patches import Rectangle

    _pixels(ax, _WIDTH - _LABELS, _FRONTIER + _BOTTOM)
    for y, colour, label in (
        (8, PLANNED, f"{document.planned:,} evaluations planned, step by step"),
        (26, SAVED, f"{document.standard - document.planned:,} saved, of {document.standard:,} without sharing"),
    ):
        ax.add_patch(Rectangle((0, y - 5), 14, 10, color=colour))
        write(ax, 20, y, label)
    reading = [
        "A line is a group of prompts denoised as one: an evaluation a step.",
        "It splits where they are further apart than φ, which falls from τ",
        "to 0, so that at the last step every prompt is alone.",
        *(["Grey: further apart than τ, never denoised as one."] if layout.splits_before else []),
    ]
    for place, line in enumerate(reading):
        write(ax, 0, 52 + 16 * place, line, TEXT, FAINT)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _pixels(ax: Axes, width: float, height: float) -> None:
    """Make the units of `ax` pixels, from the top left."""
    ax.set(xlim=(0, width), ylim=(height, 0))
    ax.set_axis_off()


def _png(figure: Figure, scale: float, colours: int) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(100 * scale)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").quantize(colours)
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()
