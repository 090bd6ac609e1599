"""From a run to its images: the package's stages up to the plan, then its frontier, with nothing stored between."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.experiments.prompt_sets import MiniSet
from benchmarks.experiments.runs import Run
from hierflow.denoise.frontier import Frontier
from hierflow.denoise.sampler_state import SamplerState
from hierflow.denoise.work import plan_work
from hierflow.errors import RunError
from hierflow.hashing import text_hash
from hierflow.models.batches import Batches
from hierflow.plan.compiled import CompiledPlan
from hierflow.plan.lanes import Lane
from hierflow.plan.segments import compile_plan
from hierflow.progress import OpenProgress, Silent
from hierflow.prompts import PromptSet, PromptSource
from hierflow.spec import DiffusionSpec, ImageSetSpec, PartitionsSpec, SharingSpec, StorageSpec
from hierflow.stages.context import Stage
from hierflow.stages.embedding.embeddings import embed
from hierflow.stages.embedding.node_conditioning import node_conditioning
from hierflow.stages.planning.make_plan import plan_after
from hierflow.stages.quality.groups import ENOUGH
from hierflow.tree.planted import PlantedTree

if TYPE_CHECKING:
    import torch

DECODED_AT_ONCE: Final = 50
GROUPED_AT: Final = 1.0
"""The tau whose first-level subtrees intervals draw anew."""


@dataclass(frozen=True)
class Made:
    """What a run gave, a row an image: image by image, and of each the prompts in their own order.

    Attributes:
        images: uint8 (N, 64, 64, 3).
        prompts: (N,) texts.
        image_index: (N,).
        group: (N,) the first-level subtree, in the tree that the run was made with.
        evaluations: of the denoiser, as the hook on the network counted them.
        tau: the one that was used.
        seconds: of denoising.
    """

    images: npt.NDArray[np.uint8]
    prompts: list[str]
    image_index: list[int]
    group: list[int]
    evaluations: int
    tau: float
    seconds: float


def stage_of(run: Run, prompts: MiniSet, folder: Path) -> Stage:
    """The image set of a run; what the prior makes of the prompts is kept in `folder` for all of them."""
    sharing: dict[str, Any] = {"tau": run.tau} if run.budget is None else {"budget": run.budget}
    diffusion: dict[str, Any] = {
        "model": "mini",
        "steps": run.steps,
        "scheduler": run.scheduler,
        "seed": run.seed,
        "initial_noise": run.initial_noise,
        "images_per_prompt": prompts.images_per_prompt,
        "deterministic": False,
    }
    spec = ImageSetSpec(
        name=run.set.replace(" ", "_"),
        prompts=PromptSource(text=list(prompts.texts)),
        diffusion=DiffusionSpec(**diffusion),
        sharing=SharingSpec(linkage=run.linkage, checkpoint_every=0, **sharing),
        partitions=PartitionsSpec(max_prompts=10_000),
        storage=StorageSpec(path=str(folder.absolute())),
    )
    stage = Stage(spec, folder, None, run="experiments", invocation="experiments")
    stage.store.claim()
    return stage


def planned(stage: Stage, prompts: MiniSet, clustering: str = "true") -> CompiledPlan:
    """The plan of a run; with a random clustering, the same tree with its prompts dealt out anew among the leaves."""
    rows = PromptSet(prompts.texts, prompts.texts)
    compiled = plan_after(stage, rows, embed(stage, rows), before=None)
    if clustering == "true":
        return compiled
    planted = compiled.planted
    dealt = np.random.default_rng(len(planted.texts)).permutation(len(planted.texts))
    texts = tuple(planted.texts[leaf] for leaf in dealt.tolist())
    return CompiledPlan(compiled.document, PlantedTree(planted.tree, texts, planted.encoder))


def make(run: Run, prompts: MiniSet, folder: Path, progress: OpenProgress = Silent) -> Made:
    """Make the images of a run; what the prior makes of its prompts is kept in `folder`."""
    stage = stage_of(run, prompts, folder)
    compiled = planned(stage, prompts, run.clustering)
    leaves = [compiled.leaf_of[text_hash(text)] for text in prompts.texts]
    began = time.monotonic()
    found, evaluations = denoised(stage, compiled, dict.fromkeys(compiled.lanes, leaves), progress=progress)
    seconds = time.monotonic() - began
    rows = [(lane, place) for lane in compiled.lanes for place in range(len(leaves))]
    groups = first_level(compiled)
    return Made(
        images=decoded(stage, [found[lane.ids.final(leaves[place])] for lane, place in rows]),
        prompts=[prompts.texts[place] for _, place in rows],
        image_index=[lane.image_index for lane, _ in rows],
        group=[int(groups[leaves[place]]) for _, place in rows],
        evaluations=evaluations,
        tau=compiled.document.tau,
        seconds=seconds,
    )


def denoised(
    stage: Stage,
    compiled: CompiledPlan,
    leaves: Mapping[Lane, Iterable[int]],
    *,
    also_at: Iterable[int] = (),
    progress: OpenProgress = Silent,
) -> tuple[dict[str, torch.Tensor], int]:
    """The latents (1, ...) by the state's id: of the last states, and of all states after the steps `also_at`.

    Returns:
        Them, and the evaluations by the hook's count.
    """
    stretches = plan_work(compiled.terminals(leaves), has=lambda _: False)
    for stretch in stretches:
        for step in set(also_at).intersection(range(stretch.first, stretch.last + 1)):
            stretch.keep[step] = stretch.lane.ids.at(stretch.segment, step)
    found: dict[str, torch.Tensor] = {}

    def keep(state: str, kept: SamplerState) -> None:
        found[state] = kept.latents

    planted, nodes = compiled.planted, compiled.plan.nodes
    told = progress("evaluations", sum(map(len, stretches)))
    frontier = Frontier(
        stage.adapter,
        conditioning=node_conditioning(stage, compiled, stretches),
        representative=cache(lambda segment: min(planted.founders(int(nodes[segment])))),
        keep=keep,
        batches=Batches(stage.adapter.runtime),
    )
    hook = frontier.prediction.meter.attach(stage.adapter.network)
    try:
        for _, active in frontier.run(stretches):
            told.advance(active)
    finally:
        hook.remove()
        told.close()
    return found, frontier.prediction.evaluations


def decoded(stage: Stage, latents: list[torch.Tensor]) -> npt.NDArray[np.uint8]:
    """(N, H, W, 3) images of latents (1, ...).

    Raises:
        RunError: one of them is not finite.
    """
    import torch

    parts = [latents[start : start + DECODED_AT_ONCE] for start in range(0, len(latents), DECODED_AT_ONCE)]
    images = [image for part in parts for image in stage.adapter.decode(torch.cat(part))]
    whole = [image for image in images if image is not None]
    if len(whole) < len(images):
        raise RunError(f"{len(images) - len(whole)} images are not finite")
    return np.stack(whole)


def first_level(compiled: CompiledPlan) -> npt.NDArray[np.int64]:
    """(N,) of each leaf, the node that serves it at the first step at which there are enough of them.

    Cut at one tau whatever the run's own, so that runs with and without sharing have the same groups.
    """
    plan = compile_plan(compiled.planted.tree, GROUPED_AT, 40)
    enough = min(ENOUGH, plan.leaves)
    step = next(k for k, size in enumerate(plan.frontier_sizes.tolist(), 1) if size >= enough)
    return plan.assignment(step)
