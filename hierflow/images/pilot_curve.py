"""The curve of a pilot: what each budget does to quality, and which of them keeps to what is allowed."""

from __future__ import annotations

import io

from hierflow.images.tree_panels import CARD, FAINT, GRID, INK, PAPER
from hierflow.scoring.pilot_curve import PilotCurve

_PASSED, _FAILED = "#3f73a8", "#c4743f"


def pilot_curve(curve: PilotCurve) -> bytes:
    """A PNG: the difference of shared less standard images over the budget; the most that may be lost is a line."""
    from matplotlib.figure import Figure

    metric, max_loss, points = curve
    figure = Figure(figsize=(6.4, 3.4), dpi=110, facecolor=PAPER, layout="constrained")
    ax = figure.subplots()
    ax.set_facecolor(CARD)
    ax.axhline(0, color=FAINT, linewidth=0.8)
    ax.axhline(-max_loss, color=INK, linewidth=1, linestyle="--")
    ax.annotate(
        f"may lose {max_loss:g}",
        (0.01, -max_loss),
        xycoords=("axes fraction", "data"),
        va="bottom",
        color=INK,
    )
    for point in points:
        colour = _PASSED if point.passed else _FAILED
        lower, upper = point.difference.lower, point.difference.upper
        if lower is not None and upper is not None:
            ax.plot([100 * point.budget] * 2, [lower, upper], color=colour, linewidth=2)
        ax.plot(
            100 * point.budget, point.difference.estimate, "o" if point.passed else "X", color=colour, markersize=7
        )
    ax.plot(
        [100 * p.budget for p in points],
        [p.difference.estimate for p in points],
        color=FAINT,
        linewidth=0.8,
        zorder=0,
    )
    ax.set_xticks([100 * point.budget for point in points])
    ax.invert_xaxis()
    ax.set_xlabel("% of the standard evaluations", color=INK)
    ax.set_ylabel(f"{metric}: shared less standard", color=INK)
    ax.grid(color=GRID, linewidth=0.6)
    ax.tick_params(colors=INK)
    for side in ax.spines.values():
        side.set_color(GRID)
    passed = [point for point in points if point.passed]
    said = f"{passed[-1].budget:.0%} of the evaluations is the boldest that passed" if passed else "none passed"
    ax.set_title(said, color=INK, fontsize=10, loc="left")
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", facecolor=PAPER)
    return drawn.getvalue()
