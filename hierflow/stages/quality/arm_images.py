"""The images of an arm: made once, kept as files, booked as measured."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from hierflow.hashing import bytes_digest
from hierflow.images import encode_png
from hierflow.plan.compiled import CompiledPlan
from hierflow.plan.lanes import Lane
from hierflow.prompts import PromptSet
from hierflow.scoring.pair import ArmImage
from hierflow.stages.context import Stage
from hierflow.stages.making.decoding import decode_states
from hierflow.stages.making.latents import denoised_baselines
from hierflow.stages.making.pictures import bytes_of
from hierflow.stages.making.scores import CHUNK
from hierflow.stages.quality.arms import Arm

if TYPE_CHECKING:
    from hierflow.stages.making.latents import Denoised

FOLDER = "baselines"


def arm_images(
    stage: Stage, of: CompiledPlan | None, prompts: PromptSet, arm: Arm, rows: Sequence[int]
) -> dict[int, ArmImage]:
    """The arm's image of each row, without scores; those whose files are there are not made again.

    A row whose latents or pixels are not finite is left out, and said so. The arm's states stay until :func:`forget`,
    so that a run that is killed goes on from them.

    Args:
        stage: the set.
        of: the set's plan, on whose account this is measured; None before there is one.
        prompts: its prompts.
        arm: what makes the images.
        rows: of `prompts`; the arm has all of them.
    """
    found = {row: image for row in rows if (image := _stored(stage, arm, row))}
    missing = [row for row in rows if row not in found]
    if not missing:
        return found
    leaves: dict[Lane, list[int]] = {}
    for row in missing:
        leaves.setdefault(arm.lane_of[row], []).append(arm.leaf_of[row])
    with denoised_baselines(stage, of, arm.compiled, leaves) as denoised:
        denoised.booking.watch.go_on("decode")
        for start in range(0, len(missing), CHUNK):
            found |= _decoded(stage, prompts, arm, missing[start : start + CHUNK], denoised)
    return found


def forget(
    stage: Stage,
    arm: Arm,
    before: Collection[str],
    *,
    of: CompiledPlan | None = None,
    needed: CompiledPlan | None = None,
) -> None:
    """Drop the states that making the arm has left: those on its paths that were not there `before`.

    States of a plan that was adopted meanwhile stay too, as its runs may count on them. What a killed run has left
    of an arm is no longer told from what others have made, and stays until it is pruned.

    Args:
        stage: the set.
        arm: what was made.
        before: the ids of all states that were stored when it was begun.
        of: the set's plan, on whose account it was made; None before there is one.
        needed: a plan that goes on from the arm's states; its own stay.
    """
    current = stage.store.plans.current()
    adopted = current if current and not (of and of.document.id == current.document.id) else None
    own = {state for plan in (needed, adopted) if plan for lane in plan.lanes for state in lane.states}
    stage.store.states.refresh()
    for state in {state for lane in arm.compiled.lanes for state in lane.states}.difference(before, own):
        if state in stage.store.states:
            stage.store.states.delete(state)


def path_of(arm: Arm, row: int) -> str:
    """The file of a row's image: named by what it is decoded from and by what, so that ids may change."""
    return f"{FOLDER}/{arm.compiled.document.decoder[:8]}/{arm.state(row)}.png"


def _stored(stage: Stage, arm: Arm, row: int) -> ArmImage | None:
    """The image that an earlier run made, if it is there and whole."""
    path = path_of(arm, row)
    try:
        png = bytes_of(stage, path)
    except FileNotFoundError:
        return None
    return None if png is None else ArmImage(arm.state(row), path, bytes_digest(png), {})


def _decoded(
    stage: Stage, prompts: PromptSet, arm: Arm, rows: Sequence[int], denoised: Denoised
) -> dict[int, ArmImage]:
    found = {}
    decoded = decode_states(stage, denoised, [(arm.state(row), arm.lane_of[row].variant) for row in rows])
    for row, pixels in zip(rows, decoded, strict=True):
        if isinstance(pixels, str):
            stage.say(f"no {arm.name} image of prompt {prompts.ids[row]!r} to compare with: {pixels}")
            continue
        about = {
            "set": stage.spec.name,
            "arm": arm.name,
            "prompt_id": prompts.ids[row],
            "prompt": prompts.texts[row],
            "seed": arm.lane_of[row].variant.seed,
            "tau": arm.compiled.document.tau,
            "state_id": arm.state(row),
        }
        png = encode_png(pixels, about)
        stage.store.files.write(path_of(arm, row), png, durable=True)
        found[row] = ArmImage(arm.state(row), path_of(arm, row), bytes_digest(png), {})
    return found
