"""What sharing looks like: prompts along their tree, each state drawn once; the picture at the top of the README.

python -m benchmarks.sharing_figure --out docs/sharing.png
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

from benchmarks.experiments.making import decoded, denoised
from benchmarks.experiments.pictures import expected
from hierflow.hashing import text_hash
from hierflow.plan.compiled import CompiledPlan
from hierflow.plan.segments import Plan
from hierflow.prompts import PromptSource, load_prompts
from hierflow.spec import DiffusionSpec, ImageSetSpec, SharingSpec, StorageSpec
from hierflow.stages.context import Stage
from hierflow.stages.embedding.embeddings import embed
from hierflow.stages.planning.make_plan import plan_after

PROMPTS: Final = (
    "a photo of a red plain house on green grass",
    "a photo of a red striped house on green grass",
    "a photo of a red plain house on a wooden table",
    "pixel art of a red plain house on green grass",
    "a photo of a blue plain house on green grass",
    "a photo of a red plain chair on green grass",
    "pixel art of a red plain chair on green grass",
    "a photo of a red striped chair on green grass",
)
TAU: Final = 0.6
STEPS: Final = (3, 8, 13, 18, 23, 28, 33, 40)


class Shown(NamedTuple):
    """A state in the figure.

    Attributes:
        column: which of :data:`STEPS`.
        line: where, as the mean of the lines of the prompts that it serves.
        prompts: how many those are.
    """

    column: int
    line: float
    prompts: int


def main() -> None:
    """Draw the figure and say what the set takes."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--out", type=Path, required=True)
    path = options.parse_args().out
    with TemporaryDirectory() as folder:
        spec = ImageSetSpec(
            name="sharing",
            prompts=PromptSource(text=list(PROMPTS)),
            diffusion=DiffusionSpec(model="mini", steps=STEPS[-1]),
            sharing=SharingSpec(tau=TAU, checkpoint_every=0),
            storage=StorageSpec(path=folder),
        )
        stage = Stage(spec, Path(folder), None, run="figure", invocation="figure")
        stage.store.claim()
        prompts = load_prompts(spec.prompts, Path(folder))
        compiled = plan_after(stage, prompts, embed(stage, prompts), before=None)
        draw(stage, compiled, path)
    print(f"{len(PROMPTS)} prompts, tau {TAU}: {compiled.plan.evaluations} of {len(PROMPTS) * STEPS[-1]} evaluations")


def draw(stage: Stage, compiled: CompiledPlan, path: Path) -> None:
    """Denoise the plan, and draw what each state after :data:`STEPS` is expected to become."""
    (lane,) = compiled.lanes
    plan, lines = compiled.plan, compiled.planted.tree.leaf_order.tolist()
    found, _ = denoised(stage, compiled, {lane: lines}, also_at=STEPS)
    shown = states_shown(plan, lines, STEPS)
    latents = []
    for column, node in shown:
        step, segment = STEPS[column], int(plan.segment_of_node[node])
        latents.append(expected(stage, compiled, found[lane.ids.at(segment, step)], segment, step))
    text_of = {compiled.leaf_of[text_hash(text)]: text for text in PROMPTS}

    figure = Figure(figsize=(12, 0.78 * len(lines) + 0.5), layout="constrained")
    panel = figure.subplots()
    _join(panel, plan, shown)
    for state, image in zip(shown.values(), decoded(stage, latents), strict=True):
        picture = OffsetImage(image, zoom=0.72, resample=True)
        panel.add_artist(AnnotationBbox(picture, (state.column, state.line), pad=0.1, bboxprops={"edgecolor": "0.6"}))
    for line, leaf in enumerate(lines):
        panel.text(len(STEPS) - 0.55, line, text_of[leaf], va="center", fontsize=9.5)
    panel.set_xlim(-0.5, len(STEPS) + 2.6)
    panel.set_ylim(len(lines) - 0.4, -0.6)
    panel.set_yticks([])
    panel.set_xticks(range(len(STEPS)), [f"step {step}" for step in STEPS])
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)
    figure.savefig(path, dpi=80)


def states_shown(plan: Plan, lines: Sequence[int], steps: Sequence[int]) -> dict[tuple[int, int], Shown]:
    """The states after some steps, each once, by column and node.

    Args:
        plan: of the prompts.
        lines: its leaves from top to bottom.
        steps: of which there is a column each.
    """
    shown = {}
    for column, step in enumerate(steps):
        serving = plan.assignment(step)[lines]
        for node in dict.fromkeys(serving.tolist()):
            served = np.flatnonzero(serving == node)
            shown[column, node] = Shown(column, float(served.mean()), len(served))
    return shown


def _join(panel: Axes, plan: Plan, shown: Mapping[tuple[int, int], Shown]) -> None:
    columns = [plan.assignment(step).tolist() for step in STEPS]
    for column, (before, after) in enumerate(pairwise(columns)):
        for one, other in set(zip(before, after, strict=True)):
            start, end = shown[column, one], shown[column + 1, other]
            middle = column + 0.5
            panel.plot(
                [start.column, middle, middle, end.column],
                [start.line, start.line, end.line, end.line],
                color="0.6",
                linewidth=1 + end.prompts,
                solid_capstyle="butt",
                solid_joinstyle="round",
                zorder=1,
            )


if __name__ == "__main__":
    main()
