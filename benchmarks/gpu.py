"""What the hierarchical run costs on a GPU, without any weights: `python -m benchmarks.gpu [--prompts N] [--toy]`.

The denoisers of Kandinsky 2.2 and SDXL are drawn at random at full size; what they compute means nothing, what it
costs is what it costs. Side by side, in one run on one machine, for the same prompts and the same tree:

* the model's plain diffusers pipeline at its best batch, one batch timed and scaled to all prompts;
* the hierarchical run, store and ledger included;
* the loop of the paper's release, written anew: everything resident, and for every micro-batch a network call and a
  scheduler step.

*over pipeline* is the ratio of wall times to the plain pipeline over the ratio of evaluations: 1 means that the whole
promised saving arrives. *over network* is the wall time over the sum of the network's own times at the frontier's own
batch sizes. `--toy` runs the same code with toy sizes on a CPU.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import diffusers
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.denoising import sample_prompts
from benchmarks.gpu_models import MODELS, BenchModel
from hierflow.denoise.noise import generator, initial_generator
from hierflow.models.batches import Batches
from hierflow.models.pipeline_adapter import PipelineAdapter
from hierflow.plan.compiled import CompiledPlan
from hierflow.prompts import PromptSet, PromptSource
from hierflow.spec import ImageSetSpec, PartitionsSpec, SharingSpec, StorageSpec
from hierflow.stages.context import Stage
from hierflow.stages.embedding.embeddings import embed
from hierflow.stages.making.latents import denoised_partition
from hierflow.stages.planning.make_plan import adopt, make_plan
from hierflow.store.conditioning import stacked

PLAIN_BATCHES = (1, 2, 4, 8, 16, 32, 64)
PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}
"""Dense float16 FLOP/s by what a card's name holds (SXM data sheets)."""
COLUMNS = (
    *("model", "run", "evaluations", "seconds", "over pipeline", "over network"),
    *("evaluations/s", "of peak FLOP/s", "peak GiB", "padding"),
)


@dataclass(frozen=True)
class Row:
    """One run of one model.

    Attributes:
        run: which.
        evaluations: how many it made.
        seconds: wall time of denoising.
        peak: bytes of GPU memory at most; None on a CPU.
        padding: share of the network's rows that was padding.
    """

    run: str
    evaluations: int
    seconds: float
    peak: int | None
    padding: float = 0.0


class Bench:
    """One model, its prompts and their plan, on one device."""

    def __init__(self, model: BenchModel, prompts: PromptSet, folder: Path, device: str) -> None:
        self.model, self.device = model, torch.device(device)
        self.adapter: PipelineAdapter = model.opened(folder / "model", device)
        spec = ImageSetSpec(
            name="bench",
            prompts=PromptSource(text=list(prompts.texts)),
            diffusion=self.adapter.spec,
            sharing=SharingSpec(),
            partitions=PartitionsSpec(max_prompts=len(prompts)),
            storage=StorageSpec(path=str(folder / "out")),
        )
        self.stage = Stage(spec, folder, None, run="bench", invocation="bench")
        vars(self.stage)["adapter"] = self.adapter
        cache = self.stage.store.conditioning(self.adapter.encoder_fingerprint)
        cache.write(prompts.hashes, model.drawn(prompts.distinct))
        embeddings = embed(self.stage, prompts)
        rows = cache.read(embeddings.hashes)
        found = stacked(rows[text] for text in embeddings.hashes)
        self.rows = {name: torch.from_numpy(array) for name, array in found.items()}
        self.compiled: CompiledPlan = make_plan(self.stage, prompts, embeddings)
        adopt(self.stage, self.compiled)

    def fit(self) -> int:
        """Find the largest batch that fits, so that no measured run has to; returns it."""
        batches = Batches(self.adapter.runtime)
        while True:
            try:
                self._predict(min(batches.largest, self.compiled.plan.leaves))
                break
            except torch.OutOfMemoryError:
                if not batches.halve():
                    raise
                torch.cuda.empty_cache()
        self.adapter.runtime = replace(self.adapter.runtime, batch_limit=batches.largest)
        return batches.largest

    def plain(self, batches: Sequence[int]) -> tuple[Row, int]:
        """The plain pipeline for every prompt at its best batch, and that batch."""
        pipeline, count = self.adapter.plain_pipeline(), self.compiled.plan.leaves

        def one(batch: int, steps: int) -> float:
            given = {
                name: self._on_device(rows[:1].repeat(batch, *[1] * (rows.ndim - 1)))
                for name, rows in self.rows.items()
            }
            call = {**self.adapter.call, "num_inference_steps": steps}
            return self.timed(lambda: pipeline(**call, **given, output_type="latent"))

        steps, times = self.model.steps, dict[int, float]()
        for batch in batches:
            if batch > count:
                break
            try:
                one(batch, 2)
                times[batch] = one(batch, 4) / batch
            except torch.OutOfMemoryError:
                torch.cuda.empty_cache()
                break
        best = min(times, key=times.__getitem__)
        self._forget_peak()
        seconds = one(best, steps) / best * count
        return Row(f"plain pipeline, batch {best}", count * steps, seconds, self._peak()), best

    def hierarchical(self) -> Row:
        """A run as `hierflow run` makes it, from plan to stored latents."""
        self._forget_peak()
        lanes = {lane: lane.leaves.tolist() for lane in self.compiled.lanes}
        with denoised_partition(self.stage, self.compiled, self.compiled.document.keys[0], lanes) as done:
            pass
        entry = self.stage.store.ledger.entries()[-1]
        assert done.executed == self.compiled.plan.evaluations
        padding = entry.padding_rows / entry.network_rows
        return Row("hierarchical", done.executed, entry.seconds["denoise"], self._peak(), padding)

    def released(self, micro_batch: int) -> Row:
        """The release's loop: all latents and conditioning resident, one scheduler step a micro-batch."""
        self._forget_peak()
        seconds = self.timed(lambda: self.released_latents(micro_batch))
        return Row(f"release's loop, batch {micro_batch}", self.compiled.plan.evaluations, seconds, self._peak())

    def network_seconds(self) -> float:
        """The sum of the network's own times for the frontier's batches, each size measured once."""
        batches = Batches(self.adapter.runtime)
        frontiers = self.compiled.plan.frontier_sizes
        sizes = Counter(len(rows) for frontier in frontiers for rows, _ in batches.of(int(frontier)))
        return sum(count * self._network_seconds(size) for size, count in sizes.items())

    def flops(self) -> float:
        """FLOP of one evaluation, guidance included."""
        with FlopCounterMode(display=False) as counter:
            self._predict(1)
        return float(counter.get_total_flops())

    def timed(self, work: Callable[[], object]) -> float:
        """Wall seconds until the device has done `work`."""
        self._wait()
        began = time.perf_counter()
        with torch.inference_mode():
            work()
        self._wait()
        return time.perf_counter() - began

    def released_latents(self, micro_batch: int) -> dict[int, torch.Tensor]:
        """The final latents of every leaf by the release's loop, (1, ...) each."""
        plan, sampler = self.compiled.plan, self.adapter.sampler
        texts, state = self.compiled.planted.texts, dict[int, torch.Tensor]()
        everything = {name: self._on_device(rows) for name, rows in self.rows.items()}
        sampler.restart()
        for step in range(1, self.model.steps + 1):
            nodes = [s for s in range(len(plan.nodes)) if plan.first[s] <= step <= plan.last[s]]
            fresh = dict[int, torch.Tensor]()
            for start in range(0, len(nodes), micro_batch):
                chunk = nodes[start : start + micro_batch]
                members = [plan.tree.members(int(plan.nodes[s])) for s in chunk]
                keys = [min(texts[leaf] for leaf in own) for own in members]
                x = torch.cat([self._state_before(s, step, state, key) for s, key in zip(chunk, keys, strict=True)])
                means = {
                    name: torch.stack([rows[own].mean(dim=0) for own in members]) for name, rows in everything.items()
                }
                output = self.adapter.predict(x, step - 1, means)
                noise = [generator(0, 0, key, step) for key in keys]
                x = sampler.step(output, step - 1, x, noise)
                fresh |= {s: x[row : row + 1] for row, s in enumerate(chunk)}
            state = fresh
        return {int(plan.nodes[segment]): x for segment, x in state.items()}

    def _state_before(self, segment: int, step: int, state: dict[int, torch.Tensor], key: str) -> torch.Tensor:
        if segment in state:
            return state[segment]
        parent = int(self.compiled.plan.parent[segment])
        if parent in state:
            return state[parent]
        assert step == 1
        return self.adapter.initial_latents([initial_generator(0, 0, key, "per_root")])

    def _network_seconds(self, size: int) -> float:
        self.timed(lambda: self._predict(size))
        return min(self.timed(lambda: self._predict(size)) for _ in range(2))

    def _predict(self, size: int) -> None:
        given = {
            name: self._on_device(rows[:1].repeat(size, *[1] * (rows.ndim - 1))) for name, rows in self.rows.items()
        }
        latents = self.adapter.initial_latents([torch.Generator() for _ in range(size)])
        with torch.inference_mode():
            self.adapter.predict(latents, 0, given)

    def _on_device(self, rows: torch.Tensor) -> torch.Tensor:
        return rows.to(self.adapter.runtime.device, self.adapter.runtime.torch_dtype)

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def _forget_peak(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)

    def _peak(self) -> int | None:
        return torch.cuda.max_memory_allocated(self.device) if self.device.type == "cuda" else None


def measured(model: BenchModel, prompts: PromptSet, folder: Path, device: str) -> list[str]:
    """The table's lines of one model."""
    bench = Bench(model, prompts, folder, device)
    bench.fit()
    plain, best = bench.plain(PLAIN_BATCHES)
    network, flops = bench.network_seconds(), bench.flops()
    peak = next((flop for name, flop in PEAKS.items() if name in card(device)), None)

    def line(row: Row) -> str:
        share = row.evaluations / plain.evaluations
        cells = [
            model.title,
            row.run,
            f"{row.evaluations:,}",
            f"{row.seconds:.3f}",
            f"{row.seconds / plain.seconds / share:.3f}",
            "" if row is plain else f"{row.seconds / network:.3f}",
            f"{row.evaluations / row.seconds:.1f}",
            f"{row.evaluations * flops / row.seconds / peak:.1%}" if peak else "",
            "" if row.peak is None else f"{row.peak / 2**30:.1f}",
            f"{row.padding:.1%}",
        ]
        return f"| {' | '.join(cells)} |"

    return [line(plain), line(bench.hierarchical()), line(bench.released(best))]


def card(device: str) -> str:
    """What the device is called."""
    return torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else "CPU"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=list(MODELS), help=f"of {', '.join(MODELS)}")
    parser.add_argument("--prompts", type=int, default=500)
    parser.add_argument("--toy", action="store_true", help="toy sizes, on a CPU")
    given: Any = parser.parse_args(arguments)
    device = "cpu" if given.toy else "cuda"
    prompts = sample_prompts(12 if given.toy else given.prompts)
    versions = f"torch {torch.__version__}, diffusers {diffusers.__version__}"
    print(
        f"{date.today()}, {card(device)}, {versions}, {len(prompts)} prompts, {'toys, ' if given.toy else ''}tau 1\n"
    )
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for name in given.models:
        with tempfile.TemporaryDirectory() as folder:
            print("\n".join(measured(MODELS[name](toy=given.toy), prompts, Path(folder), device)), flush=True)


if __name__ == "__main__":
    main()
