"""Newcomers of a catalogue, generated on a tree that was kept and on a fresh one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.attaching import attached_by
from benchmarks.catalogue import draw
from benchmarks.experiments.making import decoded
from hierflow.mini.catalogue.grammar import parse_prompt
from hierflow.mini.judges.classifier import classify
from hierflow.plan.compiled import CompiledPlan
from hierflow.plan.mismatch import founding_directions, mean_mismatch
from hierflow.plan.segments import Plan, compile_plan
from hierflow.prompts import PromptSet, PromptSource
from hierflow.spec import DiffusionSpec, ImageSetSpec, PartitionsSpec, SharingSpec, StorageSpec
from hierflow.stages.context import Stage
from hierflow.stages.embedding.embeddings import embed, tree_vectors
from hierflow.stages.making.latents import denoised_partition
from hierflow.stages.planning.make_plan import adopt, make_plan, plan_after


@dataclass(frozen=True)
class Setting:
    """One comparison.

    Attributes:
        tau, tolerance: the document's `sharing`.
        seed: of the catalogue and of all noise.
        days: how many portions the newcomers come in; each is grafted on what the last one left.
        attach: by which of :data:`benchmarks.attaching.RULES`; all but the first are ablations.
        steps, founding, newcomers: of the set; as many founding prompts go as newcomers come.
    """

    tau: float
    tolerance: float
    seed: int
    days: int = 1
    attach: str = "hierflow"
    steps: int = 40
    founding: int = 400
    newcomers: int = 200

    @property
    def file(self) -> str:
        """Where its outcome lies."""
        return "_".join(f"{name}-{value}" for name, value in asdict(self).items()) + ".json"


class Outcome(NamedTuple):
    """What a setting gave, one value a newcomer, those drawn alike first.

    Attributes:
        grafted, fresh: how many of the five attributes are right.
        graft: which of them were grafted together.
        evaluations: (grafted, fresh) what the newcomers add to the rest of the plan.
        mismatch: (grafted, fresh) the newcomers' mean, in units of the founding prompts'.
        regret: planned(grafted) / planned(fresh) - 1, for all that are live.
    """

    grafted: list[int]
    fresh: list[int]
    graft: list[int]
    evaluations: tuple[int, int]
    mismatch: tuple[float, float]
    regret: float


def compare(setting: Setting, folder: Path) -> Outcome:
    """Generate every newcomer both ways; states are kept in `folder`."""
    catalogue = draw(setting.founding, setting.newcomers // 2, setting.seed)
    newcomers = catalogue.alike + catalogue.unseen
    stage = _stage(setting, folder, catalogue.founding)
    grafted, fresh = _plans(stage, setting, catalogue.founding, newcomers)
    attributes = np.array([parse_prompt(text) for text in newcomers])
    texts = _prompts(newcomers).hashes
    right = [(classify(_images(stage, plan, texts)) == attributes).sum(axis=1).tolist() for plan in (grafted, fresh)]
    founding = compile_plan(grafted.planted.tree, setting.tau, setting.steps, grafted.planted.generations == 0)
    vectors = tree_vectors(stage, grafted.planted.encoder, grafted.planted.texts, {})
    unit = mean_mismatch(founding, vectors, founding_directions(grafted.planted, vectors))
    return Outcome(
        right[0],
        right[1],
        [int(grafted.planted.generations[grafted.leaf_of[text]]) for text in texts],
        (_added(grafted, texts), _added(fresh, texts)),
        (_mismatch(stage, grafted, texts) / unit, _mismatch(stage, fresh, texts) / unit),
        grafted.plan.evaluations / fresh.plan.evaluations - 1,
    )


def _stage(setting: Setting, folder: Path, founding: Sequence[str]) -> Stage:
    spec = ImageSetSpec(
        name=f"seed_{setting.seed}",  # the other settings of a seed share embeddings and states
        prompts=PromptSource(text=list(founding)),
        diffusion=DiffusionSpec(steps=setting.steps, seed=setting.seed, deterministic=False),
        sharing=SharingSpec(tau=setting.tau, graft_tolerance=setting.tolerance, checkpoint_every=0),
        partitions=PartitionsSpec(max_prompts=10_000),
        storage=StorageSpec(path=str(folder)),
    )
    stage = Stage(spec, folder, None, run="bench", invocation="bench")
    stage.store.claim()
    return stage


def _plans(
    stage: Stage, setting: Setting, founding: Sequence[str], newcomers: Sequence[str]
) -> tuple[CompiledPlan, CompiledPlan]:
    """The plan that grafts all newcomers, day by day, and the fresh one for who is live on the last day."""
    live, rng = list(founding), np.random.default_rng(setting.seed)
    prompts = _prompts(live)
    compiled = plan_after(stage, prompts, embed(stage, prompts), before=None)
    adopt(stage, compiled)
    stayer = prompts.hashes[0]
    _denoise(stage, compiled, [stayer])  # a tree is kept once it has run
    coming = rng.permutation(len(newcomers))
    going = 1 + rng.permutation(len(founding) - 1)[: len(newcomers)]
    for come, go in zip(np.array_split(coming, setting.days), np.array_split(going, setting.days), strict=True):
        gone = {founding[index] for index in go}
        live = [text for text in live if text not in gone] + [newcomers[index] for index in come]
        prompts = _prompts(live)
        embeddings = embed(stage, prompts)
        with attached_by(setting.attach):
            compiled = make_plan(stage, prompts, embeddings)
        adopt(stage, compiled)
    assert compiled.planted.generations.any(), "the tree was not kept"
    return compiled, plan_after(stage, prompts, embeddings, before=None)


def _prompts(texts: Sequence[str]) -> PromptSet:
    return PromptSet(tuple(texts), tuple(texts))


def _denoise(stage: Stage, compiled: CompiledPlan, texts: Sequence[str]) -> None:
    wanted = set(texts)
    for key in compiled.document.keys:
        leaves = [compiled.leaf_of[text] for text in compiled.texts_of(key) if text in wanted]
        if leaves:
            with denoised_partition(stage, compiled, key, dict.fromkeys(compiled.lanes, leaves)):
                pass


def _images(stage: Stage, compiled: CompiledPlan, texts: Sequence[str]) -> npt.NDArray[np.uint8]:
    """(N, H, W, 3) the images of some prompts."""
    _denoise(stage, compiled, texts)
    ids = compiled.lanes[0].ids
    stored = [stage.store.states.load(ids.final(compiled.leaf_of[text])) for text in texts]
    return decoded(stage, [state[0]["latents"] for state in stored if state])


def _only(compiled: CompiledPlan, live: npt.NDArray[np.bool_]) -> Plan:
    return compile_plan(compiled.planted.tree, compiled.document.tau, compiled.document.steps, live)


def _added(compiled: CompiledPlan, texts: Sequence[str]) -> int:
    """What the prompts `texts` add to a plan for everybody else."""
    others = compiled.live & ~compiled.planted.live(texts)
    return compiled.plan.evaluations - _only(compiled, others).evaluations


def _mismatch(stage: Stage, compiled: CompiledPlan, texts: Sequence[str]) -> float:
    vectors = tree_vectors(stage, compiled.planted.encoder, compiled.planted.texts, {})
    means = founding_directions(compiled.planted, vectors)
    return mean_mismatch(_only(compiled, compiled.planted.live(texts)), vectors, means)
