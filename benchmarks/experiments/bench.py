"""Makes and measures runs, once each, and says how far it is."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

from benchmarks.experiments.keeping import Kept, keep_run
from benchmarks.experiments.lists import EXPERIMENTS, per_image, runs_of
from benchmarks.experiments.making import make, planned, stage_of
from benchmarks.experiments.measuring import Judges
from benchmarks.experiments.prompt_sets import MiniSet, mini_set
from benchmarks.experiments.runs import Run
from benchmarks.results import kept
from hierflow.hashing import digest
from hierflow.progress import Lines, duration


class Bench:
    """The runs of a folder.

    Args:
        work: the folder. Runs lie below the fingerprint of the model's weights, so that new weights start anew.
        size: about how many images a prompt set has.
    """

    def __init__(self, work: Path, size: int) -> None:
        self.work, self.size, self.judges = work, size, Judges()
        self._sets: dict[str, MiniSet] = {}

    def set_of(self, run: Run) -> MiniSet:
        """The prompts of a run."""
        if run.set not in self._sets:
            self._sets[run.set] = mini_set(run.set, self.size)
        return self._sets[run.set]

    @cached_property
    def model(self) -> str:
        """Names the weights, all of them."""
        adapter = stage_of(Run("templated", 0), mini_set("templated", 1), self.work / "store").adapter
        return digest(adapter.encoder_fingerprint, adapter.identity.denoiser, adapter.decoder_fingerprint)[:8]

    def folder(self, run: Run) -> Path:
        """Where a run lies, or will."""
        prompts = self.set_of(run)
        texts = digest(prompts.texts, prompts.images_per_prompt)[:8]
        return self.work / f"model-{self.model}" / f"{run.name}-{prompts.images}-{texts}"

    def kept(self, run: Run) -> Kept | None:
        """A run that is done."""
        return Kept(self.folder(run)) if self.folder(run).exists() else None

    def evaluations(self, run: Run) -> int:
        """The evaluations of the denoiser that a run takes; seed, noise and clustering have no say."""
        prompts = self.set_of(run)
        if not run.shares:
            return prompts.images * run.steps
        alike = Run(run.set, 0, run.tau, run.budget, run.steps, run.scheduler, run.linkage)
        path = self.folder(alike).parent / "costs" / f"{self.folder(alike).name}.json"

        def plan() -> int:
            return planned(stage_of(alike, prompts, self.work / "store"), prompts).document.planned

        cost: int = kept(path, plan)
        return cost

    def steps_like(self, run: Run) -> int:
        """How many standard steps take what a run takes, rounded up."""
        return per_image(self.evaluations(run), self.set_of(run).images)

    def runs(self, names: Iterable[str] = tuple(EXPERIMENTS), seeds: Sequence[int] = (0, 1, 2)) -> list[Run]:
        """All runs of some experiments."""
        return runs_of(names, seeds, self.steps_like)

    def carry_out(self, runs: Sequence[Run]) -> None:
        """Make the runs that are not there, and measure what has not been measured, in order."""
        left = sum(self.evaluations(run) for run in runs if self.kept(run) is None)
        done, spent = 0, 0.0
        _say(f"{len(runs)} runs, {left:,} evaluations to make")
        for place, run in enumerate(runs, 1):
            found, began = self.kept(run), time.monotonic()
            if found is None:
                made = make(
                    run, self.set_of(run), self.work / "store", lambda label, total: Lines(label, total, _say)
                )
                found = keep_run(self.folder(run), made)
                done, left = done + made.evaluations, left - made.evaluations
            self.judges.see(found)
            spent += time.monotonic() - began
            pace = f"{done / spent:.0f} evaluations/s, {duration(left * spent / done)} left" if done else "was there"
            _say(f"{place} of {len(runs)} runs: {run.name}: {pace}")

    def done(self, runs: Iterable[Run]) -> Iterator[Kept]:
        """Those of some runs that are there."""
        return (found for run in runs if (found := self.kept(run)))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
