"""Finding every fault of the input before any work is done."""

from __future__ import annotations

from hierflow.prompts import PromptSet, load_prompts
from hierflow.stages.context import Stage


def check_input(stage: Stage) -> PromptSet:
    """Read the prompts, find the model and the store, and resolve every setting; write nothing.

    Returns:
        The prompts.

    Raises:
        InputError: something is wrong; it names file or field, value and remedy.
    """
    stage.store.check_location()
    stage.store.check_owner()
    prompts = load_prompts(stage.spec.prompts, stage.base)
    _ = stage.adapter.identity  # finds the model's files, the device, and settles the scheduler with its steps
    return prompts
