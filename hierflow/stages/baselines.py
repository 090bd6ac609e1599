"""Baselines: a random sample of the set's prompts, made the standard way too, and scored beside the set's images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hierflow.hashing import bytes_digest, digest, text_hash
from hierflow.images import ImageRow, encode_png, image_name
from hierflow.models.adapter import at_size
from hierflow.plan.compiled import CompiledPlan
from hierflow.plan.document import PlanDocument
from hierflow.plan.lanes import Lane
from hierflow.prompts import PromptSet
from hierflow.scoring.pair import SHARED, ArmImage, Pair
from hierflow.stages.agreement import check_model
from hierflow.stages.arms import ARMS, STANDARD, Arm, arm_of, sample
from hierflow.stages.context import Stage
from hierflow.stages.images import final_latents
from hierflow.stages.latents import denoise_baselines
from hierflow.stages.scores import CHUNK, Unscored, missing_scores

if TYPE_CHECKING:
    from hierflow.stages.latents import Denoised

_FOLDER = "baselines"
_GROUPS = 8
"""Pairs are grouped by the nodes of the first step at which there are so many."""

_Made = dict[tuple[str, str], ArmImage]
"""Images of the arms, by arm and by the state of the prompt's standard image."""


def measure(stage: Stage, compiled: CompiledPlan, prompts: PromptSet, rows: Sequence[ImageRow]) -> list[Pair]:
    """Make what the sample's pairs lack, score it, and store the pairs; returns all pairs of this policy.

    Pairs of earlier runs stay, also of prompts that are gone: an image of theirs is as good a witness. What was made
    for one is not made again. A prompt whose own image is not current, or whose baselines fail, has no pair.

    Args:
        stage: the set.
        compiled: its plan.
        prompts: its prompts.
        rows: its images as they are.

    Raises:
        RunError: the plan was made for another model.
    """
    book, policy = stage.store.pairs, policy_of(compiled.document, compiled.planted.tree.linkage)
    stored = book.load()
    if book.damaged:
        stage.say(f"{book.damaged}; what it told is measured again")
    own, others = _split(stored, policy)
    current = {row.prompt_id: row for row in rows if row.image_index == 0 and row.status == "current"}
    drawn = sample(prompts, stage.spec.scoring.baseline_sample)
    chosen = [row for row in drawn if prompts.ids[row] in current]
    if chosen:
        check_model(stage, compiled)
        made = _known(stage, own)
        for name in ARMS:
            _make(stage, compiled, prompts, arm_of(name, compiled, prompts, chosen), chosen, made)
        new = {pair.id: pair for pair in _pairs(compiled, prompts, chosen, current, made, policy)}
        kept = {pair.id: pair for pair in own if _is_whole(stage, pair)}
        own = list(({pair.id: pair for pair in own} | new | kept).values())
    own = _scored(stage, own)
    if [*others, *own] != stored:
        book.save([*others, *own])
    return own


def policy_of(document: PlanDocument, linkage: str) -> str:
    """Names what the images of comparable pairs have in common."""
    sampling = document.sampling.root(0)
    return digest("hierflow policy 1", sampling, document.encoder, document.decoder, document.tau, linkage)


def outstanding(stage: Stage, compiled: CompiledPlan, prompts: PromptSet) -> int:
    """The evaluations that baselines still ask for, at most: what is stored of their states is not looked at."""
    wanted = sample(prompts, stage.spec.scoring.baseline_sample)
    if not wanted:
        return 0
    own, _ = _split(stage.store.pairs.load(), policy_of(compiled.document, compiled.planted.tree.linkage))
    made, total = _known(stage, own), 0
    for name in ARMS:
        arm = arm_of(name, compiled, prompts, wanted)
        standard = arm if name == STANDARD else arm_of(STANDARD, compiled, prompts, wanted)
        missing = [row for row in wanted if (name, standard.state(row)) not in made]
        if missing:
            total += sum(lane.evaluations for lane in arm_of(name, compiled, prompts, missing).compiled.lanes)
    return total


def _split(pairs: Sequence[Pair], policy: str) -> tuple[list[Pair], list[Pair]]:
    """The pairs of the policy, and the others."""
    return [p for p in pairs if p.policy == policy], [p for p in pairs if p.policy != policy]


def _known(stage: Stage, pairs: Sequence[Pair]) -> _Made:
    """What some pairs hold, of all arms, as far as the files are still there."""
    files = stage.store.files.sizes(_FOLDER)
    return {
        (name, pair.images[STANDARD].state): image
        for pair in pairs
        for name, image in pair.images.items()
        if name != SHARED and image.path in files
    }


def _is_whole(stage: Stage, pair: Pair) -> bool:
    return all(stage.store.files.exists(image.path) for image in pair.images.values())


def _scored(stage: Stage, pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs with every score by which images are compared, of today's version.

    A pair some of whose files are gone keeps the scores it has, as they are.
    """
    versions = {name: stage.scorers.versions[name] for name in stage.scorers.compared}
    whole = [pair for pair in pairs if _is_whole(stage, pair)]
    fresh = [
        (pair, name, _of_versions(image, pair.scorers, versions))
        for pair in whole
        for name, image in pair.images.items()
    ]
    lacking = [
        Unscored(image.path, pair.prompt, tuple(score for score in versions if score not in image.scores))
        for pair, _, image in fresh
    ]
    images: dict[tuple[str, str, str], dict[str, ArmImage]] = {}
    for (pair, name, image), scores in zip(fresh, missing_scores(stage, lacking), strict=True):
        images.setdefault(pair.id, {})[name] = replace(image, scores={**image.scores, **scores})
    return [replace(p, images=images[p.id], scorers=versions) if p.id in images else p for p in pairs]


def _of_versions(image: ArmImage, had: Mapping[str, str], versions: Mapping[str, str]) -> ArmImage:
    """The image with those of its scores that are of these versions."""
    return replace(
        image, scores={n: v for n, v in image.scores.items() if n in versions and had.get(n) == versions[n]}
    )


def _make(
    stage: Stage, compiled: CompiledPlan, prompts: PromptSet, arm: Arm, rows: Sequence[int], made: _Made
) -> None:
    """Make the arm's images that `made` lacks, and add them to it."""
    standard = arm if arm.name == STANDARD else arm_of(STANDARD, compiled, prompts, rows)
    missing = [row for row in rows if (arm.name, standard.state(row)) not in made]
    if not missing:
        return
    leaves: dict[Lane, list[int]] = {}
    for row in missing:
        leaves.setdefault(arm.lane_of[row], []).append(arm.leaf_of[row])
    denoised = denoise_baselines(stage, compiled, arm.compiled, leaves)
    try:
        for start in range(0, len(missing), CHUNK):
            chunk = missing[start : start + CHUNK]
            for row, image in _decoded(stage, compiled.document, prompts, arm, chunk, denoised).items():
                made[arm.name, standard.state(row)] = image
        denoised.watch.lap("decode")
    except BaseException as error:
        denoised.close("failed", error=f"{type(error).__name__}: {error}")
        raise
    denoised.close("done")
    _forget(stage, compiled, arm)


def _decoded(
    stage: Stage, document: PlanDocument, prompts: PromptSet, arm: Arm, rows: Sequence[int], denoised: Denoised
) -> dict[int, ArmImage]:
    """Decode and write the images of some rows; one without usable latents is left out, and said so."""
    import torch

    by_size: dict[tuple[int, int], list[tuple[int, Any]]] = {}
    for row in rows:
        latents, variant = final_latents(stage, denoised, arm.state(row)), arm.lane_of[row].variant
        if isinstance(latents, str):
            stage.say(f"no {arm.name} image of prompt {prompts.ids[row]!r} to compare with: {latents}")
            continue
        by_size.setdefault((variant.width, variant.height), []).append((row, latents))
    found = {}
    for size, group in by_size.items():
        pixels = at_size(stage.adapter, *size).decode(torch.cat([latents for _, latents in group]))
        for (row, _), drawn in zip(group, pixels, strict=True):
            state = arm.state(row)
            about = {
                "set": stage.spec.name,
                "arm": arm.name,
                "prompt_id": prompts.ids[row],
                "prompt": prompts.texts[row],
                "seed": arm.lane_of[row].variant.seed,
                "state_id": state,
            }
            png = encode_png(drawn, about)
            path = f"{_FOLDER}/{document.decoder[:8]}/{image_name(prompts.ids[row], state, 0)}"
            stage.store.files.write(path, png, durable=True)
            found[row] = ArmImage(state, path, bytes_digest(png), {})
    return found


def _forget(stage: Stage, compiled: CompiledPlan, arm: Arm) -> None:
    """Drop the arm's states that the set's own images do not need: its images are made."""
    own = {state for lane in compiled.lanes for state in _states(lane)}
    stage.store.states.refresh()
    for state in {state for lane in arm.compiled.lanes for state in _states(lane)} - own:
        if state in stage.store.states:
            stage.store.states.delete(state)


def _states(lane: Lane) -> list[str]:
    plan, ids = lane.plan, lane.ids
    return [
        ids.at(segment, step)
        for segment in lane.segments.tolist()
        for step in range(int(plan.first[segment]), int(plan.last[segment]) + 1)
    ]


def _pairs(
    compiled: CompiledPlan,
    prompts: PromptSet,
    rows: Sequence[int],
    current: Mapping[str, ImageRow],
    made: _Made,
    policy: str,
) -> list[Pair]:
    """The pairs of those rows all of whose images are there; the set's own image comes with its scores."""
    standard, found = arm_of(STANDARD, compiled, prompts, rows), []
    for row in rows:
        own = current[prompts.ids[row]]
        state = compiled.final(text_hash(prompts.texts[row]), own.variant, 0)
        images = {name: made[name, standard.state(row)] for name in ARMS if (name, standard.state(row)) in made}
        if len(images) < len(ARMS):
            continue
        others = {name: replace(image, scores={}) for name, image in images.items()}  # they may be of other versions
        found.append(
            Pair(
                policy=policy,
                text=text_hash(prompts.texts[row]),
                prompt_id=prompts.ids[row],
                prompt=prompts.texts[row],
                partition=own.partition,
                axes={name: _plain(value) for name, value in own.axes.items()},
                group=_group_of(compiled, own),
                images={SHARED: ArmImage(state, own.image_path, own.image_sha256, own.scores), **others},
                scorers=dict(compiled.document.scorers),
            )
        )
    return found


def _group_of(compiled: CompiledPlan, row: ImageRow) -> str:
    """Names the node that serves the image at the first step with enough of them (at worst, alone)."""
    plan = compiled.plan
    step = next((k for k, size in enumerate(plan.frontier_sizes.tolist(), 1) if size >= _GROUPS), plan.steps)
    segment = next(s for s in plan.path(compiled.leaf_of[text_hash(row.prompt)]) if plan.last[s] >= step)
    return compiled.lane(row.variant, row.image_index).ids.chain(segment)[:16]


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)
