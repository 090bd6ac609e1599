"""Finding every fault of the input before any work is done."""

from __future__ import annotations

from hierflow.errors import InputError
from hierflow.prompts import PromptSet, load_prompts
from hierflow.spec import QualityTarget
from hierflow.stages.context import Stage
from hierflow.stages.planning.growing import can_grow
from hierflow.stages.planning.make_plan import WHOLE, plan_before
from hierflow.stages.quality.pilot_target import check_sample, metric_of
from hierflow.store.plans import LostPlanError
from hierflow.tree.memory import check_room, has_room


def check_input(stage: Stage, *, writes: bool = True) -> PromptSet:
    """Read the prompts, find the model and the store, and resolve every setting; write nothing.

    Args:
        stage: the set.
        writes: whether something is to be made. What only tells of a set needs no folder that it can write to, and no
            sample that a pilot could tell by.

    Returns:
        The prompts.

    Raises:
        InputError: something is wrong; it names file or field, value and remedy.
    """
    stage.store.check_location(writes=writes)
    stage.store.check_owner()
    prompts = load_prompts(stage.spec.prompts, stage.base)
    _ = stage.adapter.identity  # finds the model's files, the device, and settles the scheduler with its steps
    _ = stage.embedder  # finds the files of what the tree clusters by, if it has a model of its own
    _ = stage.scorers.versions  # finds those of what scores images
    _check_settings(stage, prompts)
    if (target := stage.spec.sharing.quality) is not None:
        metric_of(stage, target)
        if writes:
            _check_sample(stage, prompts, target)
    return prompts


def check_memory(stage: Stage, prompts: PromptSet, rebuild: str = "") -> None:
    """Refuse prompts that this machine cannot cluster, before they are encoded, which may take hours.

    Where a tree is kept, only those that are new to it are clustered.

    Args:
        stage: the set.
        prompts: its prompts.
        rebuild: as in :func:`hierflow.stages.planning.make_plan.make_plan`.

    Raises:
        InputError: they are too many.
    """
    texts = prompts.hashes
    if has_room(len(texts)):
        return
    before = plan_before(stage, rebuild)
    if before is not None and rebuild != WHOLE and can_grow(stage, before):
        texts = tuple(text for text in texts if text not in before.planted.leaf_of)
    check_room(len(texts))


def _check_sample(stage: Stage, prompts: PromptSet, target: QualityTarget) -> None:
    """See whether a pilot could tell what the document asks; where one has found tau, it stays whatever comes.

    Where the plan is lost that is seen when it is planned, which says so.
    """
    try:
        before = stage.store.plans.current()
    except LostPlanError:
        return
    if before is None or dict(before.document.tau_from) != dict(stage.spec.sharing.tau_from):
        check_sample(prompts, target)


def _check_settings(stage: Stage, prompts: PromptSet) -> None:
    first_of = {
        (row.image_width, row.image_height): prompt_id
        for prompt_id, row in reversed(list(zip(prompts.ids, prompts.settings, strict=False)))
    }
    for (width, height), prompt_id in first_of.items():
        try:
            _ = stage.adapter.varied(negative_prompt=None, width=width, height=height).identity
        except InputError as error:  # the row's, as the document's own size has been checked
            column = str(error.field).replace("diffusion.", "image_")
            where = f"prompts, column {column} of {prompt_id!r}"
            raise InputError(error.problem, field=where, value=error.value, remedy=error.remedy) from error
    for negative in {row.negative_prompt for row in prompts.settings} - {None}:
        if stage.adapter.varied(negative_prompt=negative, width=None, height=None).rows_per_evaluation == 1:
            raise InputError(
                "has no effect, as this model is not guided away from anything",
                field="prompts, column negative_prompt",
                value=negative,
                remedy="set diffusion.guidance_scale above 1, or drop the column",
            )
