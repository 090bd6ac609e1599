"""Baselines: a random sample of the set's prompts, made the standard way too, and scored beside the set's images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hierflow.hashing import digest, text_hash
from hierflow.images import ImageRow
from hierflow.plan.compiled import CompiledPlan
from hierflow.prompts import PromptSet
from hierflow.scoring.pair import SHARED, SHUFFLED, STANDARD, ArmImage, Pair
from hierflow.stages.context import Stage
from hierflow.stages.making.agreement import check_model
from hierflow.stages.making.pictures import opened
from hierflow.stages.making.scores import Unscored
from hierflow.stages.quality.arm_images import FOLDER, arm_images, forget, path_of
from hierflow.stages.quality.arms import ARMS, Arm, arm_of, sample
from hierflow.stages.quality.groups import Groups, group_of
from hierflow.stages.quality.measuring import measured_scores


def measure(stage: Stage, compiled: CompiledPlan, prompts: PromptSet, rows: Sequence[ImageRow]) -> list[Pair]:
    """Make what the sample's pairs lack, score it, and store the pairs; returns all pairs of this policy that
    have the scores of today.

    Pairs of earlier runs stay, also of prompts that are gone: an image of theirs is as good a witness. Of a prompt
    that is in the set only the pair of today's image stays: after a rebuild the former one shows what nobody has any
    more, and a prompt has one say. What was made for a pair is not made again. A prompt whose own image is not
    current, or whose baselines fail, has no pair.

    Args:
        stage: the set.
        compiled: its plan.
        prompts: its prompts.
        rows: its images as they are.

    Raises:
        RunError: the plan was made for another model.
    """
    book, policy = stage.store.pairs, policy_of(compiled)
    stored = book.load()
    if book.damaged:
        stage.say(f"{book.damaged}; what it told is measured again")
    own, others = _split(stored, policy)
    current = {row.prompt_id: row for row in rows if row.image_index == 0 and row.status == "current"}
    drawn = sample(compiled, prompts, stage.spec.scoring.baseline_sample)
    chosen = [row for row in drawn if prompts.ids[row] in current]
    if chosen:
        check_model(stage, compiled)
        new = {pair.id: pair for pair in _pairs(stage, compiled, prompts, chosen, current, own)}
        kept = {pair.id: _called(pair, new.get(pair.id, pair)) for pair in whole(stage, own)}
        own = list(({pair.id: pair for pair in own} | new | kept).values())
    own = [pair for pair in own if pair.text not in compiled.leaf_of or _is_of(compiled, pair)]
    groups = Groups(compiled)
    own = _scored(stage, compiled, [replace(pair, group=groups.of(pair)) for pair in own])
    if [*others, *own] != stored:
        book.save([*others, *own])
    return [pair for pair in own if dict(pair.scorers) == _versions(stage)]


def policy_of(compiled: CompiledPlan) -> str:
    """Names what the images of comparable pairs have in common."""
    document, sampling = compiled.document, compiled.document.sampling.root(0)
    shared_by = [document.tau, compiled.planted.tree.linkage, compiled.planted.clustering.fingerprint]
    return digest("hierflow policy 2", sampling, document.encoder, document.decoder, *shared_by)


def outstanding(stage: Stage, compiled: CompiledPlan, prompts: PromptSet, size: int | None = None) -> int:
    """The evaluations that baselines of `size` prompts still ask for, at most: stored states are not looked at.

    Args:
        stage: the set.
        compiled: its plan.
        prompts: its prompts.
        size: of the sample; by default as the document says.
    """
    rows = sample(compiled, prompts, stage.spec.scoring.baseline_sample if size is None else size)
    if not rows:
        return 0
    own, _ = _split(stage.store.pairs.load(), policy_of(compiled))
    files = set(stage.store.files.sizes(FOLDER))
    shuffled = {pair.images[STANDARD].state for pair in own if pair.images[SHUFFLED].path in files}
    arms = {name: arm_of(name, compiled, prompts, rows) for name in ARMS}
    total = 0
    for name, arm in arms.items():
        missing = [row for row in rows if path_of(arm, row) not in files]
        if name == SHUFFLED:
            missing = [row for row in missing if arms[STANDARD].state(row) not in shuffled]
        total += arm_of(name, compiled, prompts, missing).evaluations if missing else 0
    return total


def _split(pairs: Sequence[Pair], policy: str) -> tuple[list[Pair], list[Pair]]:
    """The pairs of the policy, and the others."""
    return [p for p in pairs if p.policy == policy], [p for p in pairs if p.policy != policy]


def _is_of(compiled: CompiledPlan, pair: Pair) -> bool:
    """Whether the plan makes the pair's shared image for its prompt, which is in the set."""
    leaf, state = compiled.leaf_of[pair.text], pair.images[SHARED].state
    lanes = [lane for lane in compiled.lanes if lane.variant.seed == pair.seed and leaf in lane.leaves]
    return any(lane.ids.final(leaf) == state for lane in lanes)


def _called(pair: Pair, now: Pair) -> Pair:
    """A pair as its prompt is called today."""
    return replace(pair, prompt_id=now.prompt_id, partition=now.partition, axes=now.axes)


def whole(stage: Stage, pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs all of whose images are still there."""
    there = {*stage.store.files.sizes("images"), *stage.store.files.sizes(FOLDER)}
    return [pair for pair in pairs if all(image.path in there for image in pair.images.values())]


def _pairs(
    stage: Stage,
    compiled: CompiledPlan,
    prompts: PromptSet,
    rows: Sequence[int],
    current: Mapping[str, ImageRow],
    known: Sequence[Pair],
) -> list[Pair]:
    """The pairs of the rows, as far as their images can be made; the set's own images come with their scores."""
    arms, before = {name: arm_of(name, compiled, prompts, rows) for name in ARMS}, stage.store.states.sizes()
    made = {name: arm_images(stage, compiled, prompts, arms[name], rows) for name in ARMS if name != SHUFFLED}
    made[SHUFFLED] = _shuffled(stage, compiled, prompts, arms, rows, known)
    for arm in arms.values():
        forget(stage, arm, before, of=compiled)
    policy, found = policy_of(compiled), []
    for row in rows:
        if not all(row in images for images in made.values()):
            continue
        own, text = current[prompts.ids[row]], text_hash(prompts.texts[row])
        state = compiled.final(text, own.variant, 0)
        shared = ArmImage(state, own.image_path, own.image_sha256, own.scores)
        found.append(
            Pair(
                policy=policy,
                text=text,
                prompt_id=prompts.ids[row],
                prompt=prompts.texts[row],
                partition=own.partition,
                axes={name: _plain(value) for name, value in own.axes.items()},
                seed=own.seed,
                group=group_of(compiled.plan, compiled.lane(own.variant, 0), compiled.leaf_of[text]),
                images={SHARED: shared, **{name: images[row] for name, images in made.items()}},
                scorers=dict(compiled.document.scorers),
            )
        )
    return found


def _shuffled(
    stage: Stage,
    compiled: CompiledPlan,
    prompts: PromptSet,
    arms: Mapping[str, Arm],
    rows: Sequence[int],
    known: Sequence[Pair],
) -> dict[int, ArmImage]:
    """The shuffled images. An edit or a rebuild deals all prompts out anew, and what was dealt before is as bad: it
    stays."""
    files = stage.store.files.sizes(FOLDER)
    before = {
        pair.images[STANDARD].state: replace(pair.images[SHUFFLED], scores={})
        for pair in known
        if pair.images[SHUFFLED].path in files
    }
    state_of = {row: arms[STANDARD].state(row) for row in rows}
    kept = {
        row: before[state]
        for row, state in state_of.items()
        if state in before and opened(stage, before[state].path) is not None
    }
    rest = [row for row in rows if row not in kept]
    return kept | (arm_images(stage, compiled, prompts, arms[SHUFFLED], rest) if rest else {})


def _scored(stage: Stage, compiled: CompiledPlan, pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs with every score by which images are compared, of today's version.

    A pair some of whose files are gone or damaged keeps the scores it has, as they are.
    """
    versions = _versions(stage)
    fresh = [
        (pair, name, _of_versions(image, pair.scorers, versions))
        for pair in whole(stage, pairs)
        for name, image in pair.images.items()
    ]
    lacking = [
        Unscored(image.path, pair.prompt, tuple(score for score in versions if score not in image.scores))
        for pair, _, image in fresh
    ]
    images: dict[tuple[str, str, str], dict[str, ArmImage]] = {}
    found = measured_scores(stage, compiled, lacking)
    for (pair, name, image), scores in zip(fresh, found, strict=True):
        images.setdefault(pair.id, {})[name] = replace(image, scores={**image.scores, **scores})
    scored = {
        key: own
        for key, own in images.items()
        if all(versions.keys() <= image.scores.keys() for image in own.values())
    }
    return [replace(p, images=scored[p.id], scorers=versions) if p.id in scored else p for p in pairs]


def _versions(stage: Stage) -> dict[str, str]:
    """Of the scores by which images are compared."""
    return {name: stage.scorers.versions[name] for name in stage.scorers.compared}


def _of_versions(image: ArmImage, had: Mapping[str, str], versions: Mapping[str, str]) -> ArmImage:
    """The image with those of its scores that are of these versions."""
    alike = [name for name in versions if had.get(name) == versions[name] and name in image.scores]
    return replace(image, scores={name: image.scores[name] for name in alike})


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)
