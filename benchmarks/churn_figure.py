"""What a change costs and what keeping the tree does in the long run, as one figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from benchmarks.nights import Night, Price
from hierflow.spec import SharingSpec

WAYS = {
    "over": ("start over with a new tree", "0.80"),
    "cached": ("new tree, reuse equal clusters", "0.62"),
    "alone": ("the changed prompts as a set of their own", "0.40"),
    "pinned": ("hierflow: keep the tree, graft", "tab:blue"),
}
KINDS = {"alike": ("like those there", "tab:blue"), "unseen": ("of kinds never seen", "tab:orange")}


def draw_figure(
    prompts: int, prices: Mapping[float, Price], lives: Mapping[str, Sequence[Night]], path: Path
) -> None:
    """Draw both panels.

    Args:
        prompts: how many the set has.
        prices: by the share of the prompts that changes.
        lives: the nights by kind of new prompts.
        path: where the PNG goes.
    """
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_prices(left, prices)
    left.set_title(f"What replacing some of {prompts:,} prompts costs", fontsize=11)
    _draw_lives(right, lives)
    right.set_title("What keeping the tree for 30 nights of 1 % costs", fontsize=11)
    for panel in (left, right):
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=100)


def _draw_prices(panel: Axes, prices: Mapping[float, Price]) -> None:
    width = 0.8 / len(WAYS)
    for place, (way, (label, color)) in enumerate(WAYS.items()):
        shares = [getattr(price, way) / price.over for price in prices.values()]
        middles = [index + (place - (len(WAYS) - 1) / 2) * width for index in range(len(shares))]
        panel.bar(middles, shares, width, color=color, label=label)
        for middle, share in zip(middles, shares, strict=True):
            text = f"{share:.0%}" if share >= 0.1 else f"{share:.1%}" if share >= 0.01 else f"{share:.2%}"
            panel.text(middle, share * 1.08, text, ha="center", fontsize=7.5)
    panel.set_yscale("log")
    panel.set_ylim(top=12)
    panel.set_yticks([0.001, 0.01, 0.1, 1], ["0.1 %", "1 %", "10 %", "100 %"])
    panel.set_xticks(range(len(prices)), [f"{share:.1%} changed\n({p.prompts:,.0f})" for share, p in prices.items()])
    panel.set_ylabel("denoising steps, share of a full run")
    panel.legend(frameon=False, fontsize=8, loc="upper left")


def _draw_lives(panel: Axes, lives: Mapping[str, Sequence[Night]]) -> None:
    sharing = SharingSpec()
    curves = {
        "regret": ("steps (regret)", "-", sharing.max_regret),
        "drift": ("distance from what is shared (drift)", ":", sharing.max_drift),
    }
    for curve, (meaning, line, most) in curves.items():
        for kind, nights in lives.items():
            name, color = KINDS[kind]
            values = [0.0, *(getattr(night, curve) for night in nights)]
            panel.plot(range(len(values)), values, line, color=color, lw=1.8, label=f"{meaning}; new prompts {name}")
        panel.axhline(most, color="0.7", lw=1, ls=line)
        panel.text(0.2, most + 0.002, f"warning at {most:.0%}", color="0.4", fontsize=8, va="bottom")
    panel.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    panel.set_xlabel("nights")
    panel.set_ylabel("more than a new tree of the same prompts")
    panel.set_xlim(0, len(values) - 1)
    panel.set_ylim(top=0.52)
    panel.legend(frameon=False, fontsize=8, loc="upper left")
