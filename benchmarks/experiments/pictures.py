"""Two pictures: what a shared path looks like on its way (Fig. 2 in form), and what means show (Fig. 10 in form)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.experiments.bench import Bench
from benchmarks.experiments.lists import MAIN, shared
from benchmarks.experiments.making import decoded, denoised, planned, stage_of
from hierflow.plan.compiled import CompiledPlan
from hierflow.stages.context import Stage

if TYPE_CHECKING:
    import torch

STEPS: Final = (1, 5, 10, 15, 20, 25, 30, 35, 40)
ROWS: Final = 6
SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 500)
GAP: Final = 2


def draw_pictures(bench: Bench, folder: Path) -> None:
    """Draw both, once."""
    paths = folder / "intermediate.png", folder / "means.png"
    if all(path.exists() for path in paths):
        return
    folder.mkdir(parents=True, exist_ok=True)
    run = shared(MAIN, 0)
    prompts = bench.set_of(run)
    stage = stage_of(run, prompts, bench.work / "store")
    compiled = planned(stage, prompts)
    _grid(intermediate(stage, compiled)).save(paths[0])
    _grid(means(stage, compiled)).save(paths[1])


def intermediate(stage: Stage, compiled: CompiledPlan, at: Sequence[int] = STEPS) -> list[npt.NDArray[np.uint8]]:
    """A row a prompt, some of one first-level subtree: what the image is expected to be after the steps `at`.

    That is x_0 as predicted from the state after a step, decoded. Up to where two prompts part their rows are one.
    """
    (lane,) = compiled.lanes
    plan = compiled.plan
    most = int(plan.active(1)[np.argmax(plan.sizes[plan.active(1)])])
    among = plan.served(most)
    leaves = among[:: max(1, len(among) // ROWS)][:ROWS].tolist()
    found, _ = denoised(stage, compiled, {lane: leaves}, also_at=at)
    rows = []
    for leaf in leaves:
        path = {
            step: segment
            for segment in plan.path(leaf)
            for step in at
            if plan.first[segment] <= step <= plan.last[segment]
        }
        latents = [expected(stage, compiled, found[lane.ids.at(path[step], step)], path[step], step) for step in at]
        rows.append(decoded(stage, latents))
    return rows


def expected(stage: Stage, compiled: CompiledPlan, latents: torch.Tensor, segment: int, step: int) -> torch.Tensor:
    """x_0 as the network sees it in the state after a step; the state itself after the last."""
    import torch

    sampler = stage.adapter.sampler
    if step == compiled.plan.steps:
        return latents
    with torch.inference_mode():
        conditioning = _mean(stage, compiled, int(compiled.plan.nodes[segment]))
        noise = stage.adapter.predict(latents, step, conditioning)[:, : latents.shape[1]]
        kept = sampler.scheduler.alphas_cumprod[int(sampler.scheduler.timesteps[step])]
        expected: torch.Tensor = (latents - (1 - kept).sqrt() * noise) / kept.sqrt()
    return expected


def means(stage: Stage, compiled: CompiledPlan) -> list[npt.NDArray[np.uint8]]:
    """A row a prompt: its own embedding, then means of ever larger nodes above it, each denoised for all steps."""
    tree = compiled.planted.tree
    rows = []
    for leaf in np.linspace(0, tree.leaves - 1, ROWS).astype(int).tolist():
        path, node = [], int(tree.leaf_order[leaf])
        while node >= 0:
            path.append(node)
            node = int(tree.parents[node])
        sizes = tree.sizes[path]
        rows.append([path[min(int(np.searchsorted(sizes, size)), len(path) - 1)] for size in SIZES])
    nodes = sorted({node for row in rows for node in row})
    drawn = dict(zip(nodes, decoded(stage, _sampled(stage, compiled, nodes)), strict=True))
    return [np.stack([drawn[node] for node in row]) for row in rows]


def _sampled(stage: Stage, compiled: CompiledPlan, nodes: Sequence[int]) -> list[torch.Tensor]:
    """Latents from the mean embeddings of some nodes, all from one noise."""
    import torch

    adapter = stage.adapter
    conditioned = [_mean(stage, compiled, node) for node in nodes]
    conditioning = {name: torch.cat([one[name] for one in conditioned]) for name in conditioned[0]}
    adapter.sampler.restart()
    with torch.inference_mode():
        latents = adapter.initial_latents([torch.Generator().manual_seed(0) for _ in nodes])
        for index in range(compiled.plan.steps):
            output = adapter.predict(latents, index, conditioning)
            generators = [torch.Generator().manual_seed(index + 1) for _ in nodes]
            latents = adapter.sampler.step(output, index, latents, generators)
    return [latents[row : row + 1] for row in range(len(nodes))]


def _mean(stage: Stage, compiled: CompiledPlan, node: int) -> dict[str, torch.Tensor]:
    """The mean conditioning (1, D) of a node."""
    import torch

    planted = compiled.planted
    rows = stage.store.conditioning(planted.encoder).read(planted.founders(node))
    names = next(iter(rows.values()))
    return {
        name: torch.from_numpy(np.mean([row[name] for row in rows.values()], axis=0)[None]).float() for name in names
    }


def _grid(rows: Sequence[npt.NDArray[np.uint8]]) -> Image.Image:
    side = rows[0].shape[1]
    pitch = side + GAP
    sheet = Image.new("RGB", (len(rows[0]) * pitch - GAP, len(rows) * pitch - GAP), "white")
    for line, row in enumerate(rows):
        for place, picture in enumerate(row):
            sheet.paste(Image.fromarray(picture), (place * pitch, line * pitch))
    return sheet
