"""What the frontier loop costs beside the network it drives: `python -m benchmarks.denoising [N ...]`.

Everything is measured in one run on one machine, with the mini model, and reported as ratios:

* (a) wall time of the hierarchical run over the sum of the network's own times, measured batch by batch at the
  frontier's own sizes and in its order: what loop, sampler, noise, store and ledger add.
* (b) wall time of the hierarchical run over that of the model's plain diffusers pipeline at its best batch, divided
  by planned / standard evaluations: how much of the saving that the plan promises arrives.

Both are given without a fixed batch, and for the fixed batch with which a CPU promises equal bits; there, padding is
network time that computes nothing.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from hierflow.models.batches import Batches
from hierflow.models.families.kandinsky22 import Kandinsky22
from hierflow.plan.compiled import CompiledPlan
from hierflow.prompts import PromptSet, PromptSource, load_prompts
from hierflow.spec import DiffusionSpec, ImageSetSpec, PartitionsSpec, SharingSpec, StorageSpec
from hierflow.stages.context import Stage
from hierflow.stages.embedding.embeddings import embed
from hierflow.stages.making.latents import denoised_partition
from hierflow.stages.planning.make_plan import adopt, make_plan

PLAIN_BATCHES = (8, 16, 32, 64)
AXES = {
    "style": ["a photo of", "a flat illustration of", "a line drawing of", "pixel art of"],
    "color": ["red", "orange", "yellow", "green", "blue", "purple"],
    "pattern": ["plain", "striped", "dotted"],
    "product": ["mug", "chair", "shoe", "hat", "car", "house", "tree", "fish"],
    "background": ["in a white studio", "on green grass", "on a sandy beach"],
}
TEMPLATE = "{style} a {color} {pattern} {product} {background}"


@dataclass(frozen=True)
class Timing:
    """One hierarchical run.

    Attributes:
        seconds: wall time of denoising, stores and ledger included.
        network_seconds: the network's own time for the same batches, measured beside it.
        planned, standard: evaluations.
        padding_share: share of the network's rows that was padding.
    """

    seconds: float
    network_seconds: float
    planned: int
    standard: int
    padding_share: float


def sample_prompts(count: int) -> PromptSet:
    """`count` prompts drawn from a catalogue of 1,728."""
    whole = load_prompts(PromptSource(template=TEMPLATE, axes=AXES), Path())
    chosen = np.sort(np.random.default_rng(0).permutation(len(whole))[:count])
    return PromptSet(tuple(whole.ids[i] for i in chosen), tuple(whole.texts[i] for i in chosen))


def hierarchical(prompts: PromptSet, folder: Path, steps: int, deterministic: bool) -> Timing:
    """Denoise `prompts` as a run does, and measure the network at the batch sizes that took."""
    spec = ImageSetSpec(
        name="bench",
        prompts=PromptSource(text=list(prompts.texts)),
        diffusion=DiffusionSpec(steps=steps, deterministic=deterministic),
        sharing=SharingSpec(),
        partitions=PartitionsSpec(max_prompts=len(prompts)),
        storage=StorageSpec(path=str(folder / f"deterministic-{deterministic}")),
    )
    stage = Stage(spec, folder, None, run="bench", invocation="bench")
    stage.store.claim()
    compiled = make_plan(stage, prompts, embed(stage, prompts))
    adopt(stage, compiled)
    adapter = stage.adapter
    assert isinstance(adapter, Kandinsky22)
    sizes = _batch_sizes(compiled, adapter)
    warm_up(adapter, max(sizes))
    before = _network_seconds(adapter, sizes)
    lanes = {lane: lane.leaves.tolist() for lane in compiled.lanes}
    with denoised_partition(stage, compiled, compiled.document.keys[0], lanes) as done:
        pass
    after = _network_seconds(adapter, sizes)
    entry = stage.store.ledger.entries()[-1]
    assert done.executed == compiled.plan.evaluations
    return Timing(
        seconds=entry.seconds["denoise"],
        network_seconds=(before + after) / 2,
        planned=compiled.document.planned,
        standard=compiled.document.standard,
        padding_share=entry.padding_rows / entry.network_rows,
    )


def plain_pipeline(steps: int, prompts: int) -> tuple[float, int]:
    """Seconds the model's own pipeline takes for latents of `prompts` prompts at its best batch, and that batch.

    One batch is timed, and scaled by the number of prompts.
    """
    adapter = Kandinsky22(*_model(DiffusionSpec(steps=steps)))
    pipeline = adapter.plain_pipeline()
    width = int(adapter.network.config.encoder_hid_dim)  # type: ignore[union-attr, arg-type]

    def one(batch: int, count: int) -> float:
        embeds = torch.randn(batch, width)
        return _seconds(
            lambda: pipeline(
                image_embeds=embeds,
                negative_image_embeds=torch.zeros_like(embeds),
                height=adapter.height,
                width=adapter.width,
                num_inference_steps=count,
                guidance_scale=4.0,
                output_type="latent",
            )
        )

    one(4, 2)
    best = min(PLAIN_BATCHES, key=lambda batch: one(batch, 4) / batch)
    return median(one(best, steps) for _ in range(3)) / best * prompts, best


def warm_up(adapter: Kandinsky22, batch: int) -> None:
    """The first calls of a shape are slow."""
    for _ in range(3):
        _call_network(adapter, batch)


def _batch_sizes(compiled: CompiledPlan, adapter: Kandinsky22) -> list[int]:
    """The batches the network sees (before guidance doubles them), in their order, from the plan's frontier."""
    batches = Batches(adapter.runtime)
    return [len(rows) for frontier in compiled.plan.frontier_sizes for rows, _ in batches.of(int(frontier))]


def _network_seconds(adapter: Kandinsky22, sizes: list[int]) -> float:
    """The network alone on the same batches in the same order, so that a change of shape costs it the same."""
    return sum(_seconds(partial(_call_network, adapter, size)) for size in sizes)


def _call_network(adapter: Kandinsky22, batch: int) -> None:
    rows = batch * adapter.rows_per_evaluation
    unet: Any = adapter.network
    size = unet.config.sample_size
    with torch.inference_mode():
        unet(
            sample=torch.randn(rows, unet.config.in_channels, size, size),
            timestep=torch.tensor(500),
            encoder_hidden_states=None,
            added_cond_kwargs={"image_embeds": torch.randn(rows, unet.config.encoder_hid_dim)},
            return_dict=False,
        )


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _model(spec: DiffusionSpec) -> tuple[Any, DiffusionSpec, Any]:
    from hierflow.models.runtime import resolve_runtime
    from hierflow.models.source import locate

    return locate(spec, Path()), spec, resolve_runtime(spec)


def main() -> None:
    """Print one row a measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prompts", nargs="*", type=int, default=[100, 500])
    parser.add_argument("--steps", type=int, default=40)
    arguments = parser.parse_args()
    print("| prompts | fixed batch | planned / standard | seconds | (a) over network | (b) over pipeline | padding |")
    print("|---|---|---|---|---|---|---|")
    for count in arguments.prompts:
        prompts = sample_prompts(count)
        plain, best = plain_pipeline(arguments.steps, count)
        with tempfile.TemporaryDirectory() as folder:
            for deterministic in (False, True):
                timing = hierarchical(prompts, Path(folder), arguments.steps, deterministic)
                share = timing.planned / timing.standard
                print(
                    f"| {count} | {'8' if deterministic else 'none'} | {timing.planned:,} / {timing.standard:,} "
                    f"= {share:.3f} | {timing.seconds:.1f} | {timing.seconds / timing.network_seconds:.3f} "
                    f"| {timing.seconds / plain / share:.3f} | {timing.padding_share:.1%} |",
                    flush=True,
                )
        print(f"\nplain pipeline: {plain:.1f} s for {count} prompts, best batch {best}\n", flush=True)


if __name__ == "__main__":
    main()
