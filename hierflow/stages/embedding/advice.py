"""What a user should be told before and with a run, though nothing is wrong with the input."""

from __future__ import annotations

from collections import Counter

from hierflow.models.schedulers import draws_noise, scheduler_name
from hierflow.prompts import PromptSet
from hierflow.stages.context import Stage


def advice(stage: Stage, prompts: PromptSet) -> list[str]:
    """A sentence for each thing that will probably disappoint: unknown words, prompts cut off, one layout for all."""
    sampling = stage.adapter.identity
    found = [*repetitions(prompts), *stage.adapter.warnings(prompts.distinct)]
    if sampling.initial_noise == "shared" and not draws_noise(sampling.scheduler):
        name = scheduler_name(sampling.scheduler)
        found.append(
            f"initial_noise: shared with {name}, which draws no noise of its own, gives every image one "
            "layout; take per_root, or ddpm or euler_ancestral"
        )
    if (alone := _alone(prompts)) > len(prompts) / 2:
        found.append(
            f"{alone} of {len(prompts)} rows have a seed, a size or a negative prompt that no other row has; images "
            "share steps only where these are equal, so these rows save nothing"
        )
    return found


def repetitions(prompts: PromptSet) -> list[str]:
    """A sentence if rows were dropped because they say nothing new; nothing is known of prompts from the store."""
    rows = prompts.repetitions
    if not rows:
        return []
    repeat, are = ("row repeats", "is") if rows == 1 else ("rows repeat", "are")
    return [
        f"{rows:,} {repeat} another one exactly and {are} left out; a label or an id of its own keeps a row, and a "
        "seed gives it an image of its own"
    ]


def _alone(prompts: PromptSet) -> int:
    """How many rows have settings of their own that no other row has."""
    return sum(count == 1 for settings, count in Counter(prompts.settings).items() if settings)
