"""What a user should be told before and with a run, though nothing is wrong with the input."""

from __future__ import annotations

from hierflow.models.schedulers import STOCHASTIC
from hierflow.prompts import PromptSet
from hierflow.stages.context import Stage


def advice(stage: Stage, prompts: PromptSet) -> list[str]:
    """A sentence for each thing that will probably disappoint: unknown words, prompts cut off, one layout for all."""
    diffusion = stage.spec.diffusion
    found = stage.adapter.warnings(prompts.distinct)
    if diffusion.initial_noise == "shared" and diffusion.scheduler not in STOCHASTIC:
        found.append(
            f"initial_noise: shared with {diffusion.scheduler}, which draws no noise of its own, gives every image "
            "one layout; take per_root, or ddpm or euler_ancestral"
        )
    return found
