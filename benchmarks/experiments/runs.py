"""A run: one way to make one prompt set with one seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

FULL: Final = 40
"""The steps of the standard way, as in the paper."""


@dataclass(frozen=True)
class Run:
    """What decides the images of a run, beside the model and the prompts.

    Attributes:
        set: the prompt set's name.
        seed: of all noise of the decoder. The prior's seed, and with it the tree, is the same for all.
        tau: how much is shared.
        budget: in place of tau; the share of the evaluations that the same steps take without sharing.
        steps, scheduler: of the sampler.
        linkage: of the tree.
        clustering: "true", or "random": the same tree with its prompts dealt out anew among the leaves.
        initial_noise: "per_root" or "shared".
    """

    set: str
    seed: int
    tau: float = 0.0
    budget: float | None = None
    steps: int = FULL
    scheduler: str = "ddpm"
    linkage: str = "ward"
    clustering: str = "true"
    initial_noise: str = "per_root"

    @property
    def way(self) -> str:
        """Everything but set and seed, in words; for file names and tables."""
        shared = f"tau {self.tau:g}" if self.budget is None else f"budget {self.budget:g}"
        words = [self.scheduler, str(self.steps), shared]
        words += [self.linkage] if self.shares else []
        words += ["random"] if self.clustering == "random" else []
        words += ["shared noise"] if self.initial_noise == "shared" else []
        return " ".join(words)

    @property
    def title(self) -> str:
        """Sampler, steps and tau, as tables name them."""
        sampler = "DDPM" if self.scheduler == "ddpm" else self.scheduler
        return f"{sampler} {self.steps}" + (f", tau {self.tau:g}" if self.shares else "")

    @property
    def shares(self) -> bool:
        """Whether prompts share steps at all."""
        return self.budget is not None or self.tau > 0

    @property
    def name(self) -> str:
        """Names the run, and its folder."""
        return f"{self.set} {self.way} seed {self.seed}".replace(" ", "-")

    def of_seed(self, seed: int) -> Run:
        """The same with another seed."""
        return replace(self, seed=seed)


def standard(set_name: str, seed: int) -> Run:
    """The way that everything is compared with: 40 steps of DDPM for every prompt."""
    return Run(set_name, seed)
