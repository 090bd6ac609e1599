"""Whole runs of an image set, stage by stage as both fronts go through them, with everything they left."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hierflow.audit.account import Audit
from hierflow.images import decode_png
from hierflow.models import registry
from hierflow.models.pipeline_adapter import PipelineAdapter
from hierflow.plan.compiled import CompiledPlan
from hierflow.progress import OpenProgress, Silent
from hierflow.prompts import PromptSet, load_prompts
from hierflow.spec import ImageSetSpec
from hierflow.stages.context import Stage
from hierflow.stages.embedding.embeddings import embed
from hierflow.stages.making.images import make_partition
from hierflow.stages.making.latents import denoise_trunk
from hierflow.stages.making.todo import todo
from hierflow.stages.planning.make_plan import adopt, make_plan
from hierflow.stages.reports.auditing import audit
from hierflow.stages.reports.image_set import AssembledSet, assemble
from hierflow.store.ledger import Entry

PROMPTS = ["a red mug", "a blue mug", "a red chair", "two green cats", "xyz 99", "a blue chair"]
STEPS = 6

Key = tuple[str, int]
"""A prompt and an image index."""


@dataclass(frozen=True)
class Run:
    """What a run left.

    Attributes:
        stage, compiled, prompts: its input.
        assembled, account: its result.
        ran: the partitions it made.
    """

    stage: Stage
    compiled: CompiledPlan
    prompts: PromptSet
    assembled: AssembledSet
    account: Audit
    ran: list[str]

    @property
    def entries(self) -> list[Entry]:
        """This run's entries of the ledger."""
        return [entry for entry in self.stage.store.ledger.entries() if entry.run == self.stage.run]

    def latents(self) -> dict[Key, torch.Tensor]:
        """The final latents (1, 4, h, w) as the store has them."""
        found = {}
        for text, hashed in zip(self.prompts.distinct, self.prompts.hashes, strict=True):
            for lane in self.compiled.lanes:
                stored = self.stage.store.states.load(lane.ids.final(self.compiled.leaf_of[hashed]))
                assert stored is not None
                found[text, lane.image_index] = stored[0]["latents"]
        return found

    def pixels(self) -> dict[Key, np.ndarray]:
        """The images (H, W, 3) as they lie in the store."""
        files = self.stage.store.files
        return {(row.prompt, row.image_index): decode_png(files.read(row.image_path)) for row in self.assembled.rows}

    def conditioning(self) -> dict[str, torch.Tensor]:
        """The conditioning of the tree's leaves, (N, D) by name."""
        planted = self.compiled.planted
        rows = self.stage.store.conditioning(planted.encoder).read(planted.texts)
        names = rows[planted.texts[0]]
        return {name: torch.from_numpy(np.stack([rows[text][name] for text in planted.texts])) for name in names}


def spec_of(
    model: Path | str,
    *,
    prompts: list[str] | dict[str, Any] | None = None,
    storage: Path | str | None = None,
    sharing: dict[str, Any] | None = None,
    max_prompts: int = 256,
    **diffusion: Any,
) -> ImageSetSpec:
    """A document for a short run of the model in the folder `model`.

    By default without checkpoints, and with a tolerance at which new prompts leave a tree at different steps.
    """
    source = PROMPTS if prompts is None else prompts
    return ImageSetSpec.model_validate(
        {
            "name": "tests",
            "prompts": source if isinstance(source, dict) else {"text": source},
            "diffusion": {"model": str(model), "steps": STEPS, "prior_steps": 2, **diffusion},
            "sharing": {"tau": 1.0, "checkpoint_every": 0, "graft_tolerance": 0.9, **(sharing or {})},
            "partitions": {"max_prompts": max_prompts},
            "storage": {"path": str(storage) if storage else f"memory://{uuid.uuid4().hex}"},
        }
    )


def stage_of(spec: ImageSetSpec, progress: OpenProgress = Silent) -> Stage:
    """A stage with a model that nothing has loaded yet, as in a new process."""
    registry._kept.clear()
    run = uuid.uuid4().hex
    return Stage(spec, Path.cwd(), None, run=run, invocation=run, progress=progress)


def planned(stage: Stage, rebuild: str = "") -> tuple[CompiledPlan, PromptSet]:
    """The stages up to the plan; `rebuild` as in :func:`make_plan`."""
    prompts = load_prompts(stage.spec.prompts, stage.base)
    stage.store.prompts.save(prompts)
    compiled = make_plan(stage, prompts, embed(stage, prompts), rebuild)
    adopt(stage, compiled)
    return compiled, prompts


def carry_out(spec: ImageSetSpec, progress: OpenProgress = Silent, rebuild: str = "") -> Run:
    """Every stage of one run."""
    return carried_out(stage_of(spec, progress), rebuild)


def carried_out(stage: Stage, rebuild: str = "") -> Run:
    """Every stage of one run, in the given stage."""
    compiled, prompts = planned(stage, rebuild)
    keys = todo(stage.store, compiled)
    denoise_trunk(stage, compiled, prompts, keys)
    for key in keys:
        make_partition(stage, compiled, prompts, key)
    assembled = assemble(stage, compiled, prompts)
    return Run(stage, compiled, prompts, assembled, audit(stage, compiled, assembled.rows), keys)


def spoil_first_image(patch: pytest.MonkeyPatch) -> None:
    """From now on, the first image that is decoded has a pixel that is no number."""
    real, spoiled = PipelineAdapter.pixels, list[bool]()

    def pixels(self: PipelineAdapter, latents: torch.Tensor) -> np.ndarray:
        made = real(self, latents)
        if not spoiled:
            spoiled.append(True)
            made[0, 3, 4, 1] = np.nan
        return made

    patch.setattr(PipelineAdapter, "pixels", pixels)


def assert_equal(one: dict[Key, Any], other: dict[Key, Any]) -> None:
    """The same prompts, and not a bit of difference."""
    assert one.keys() == other.keys()
    for key, value in one.items():
        assert np.array_equal(np.asarray(value), np.asarray(other[key])), f"{key} differs"
