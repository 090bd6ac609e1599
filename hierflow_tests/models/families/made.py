"""A family's tiny model, hierflow's runs of it, and what diffusers alone makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hierflow.denoise.noise import INITIAL, generator
from hierflow.models.families.unclip_prior import prior_generator
from hierflow.models.pipeline_adapter import PipelineAdapter
from hierflow.models.registry import open_model
from hierflow.spec import DiffusionSpec, ImageSetSpec
from hierflow_tests.models.families.cases import Case
from hierflow_tests.models.families.literals import BATCH, STEPS
from hierflow_tests.oracles.algorithm1 import Members, algorithm1
from hierflow_tests.oracles.cut import frontier
from hierflow_tests.stages.runs import Run, spec_of
from hierflow_tests.tiny_models import SIZE

PROMPTS = ["a red mug", "a blue mug", "two green cats", "xyz 99"]
SPLITTING = 2.0
"""A tau at which the prompts share their first step and part before the last."""


@dataclass(frozen=True)
class Made:
    """A family and the folder of its tiny model."""

    case: Case
    folder: Path

    def spec(self, *, tau: float = SPLITTING, prompts: list[str] | None = None, **settings: Any) -> ImageSetSpec:
        """A document for a short run."""
        given = {"steps": STEPS, "height": SIZE, "width": SIZE, **settings}
        return spec_of(self.folder, prompts=prompts or PROMPTS, sharing={"tau": tau}, **given)

    def adapter(self, **settings: Any) -> PipelineAdapter:
        """hierflow's adapter of it."""
        given = {"steps": STEPS, "prior_steps": 2, "height": SIZE, "width": SIZE, **settings}
        adapter = open_model(DiffusionSpec(model=str(self.folder), **given), Path())
        assert isinstance(adapter, PipelineAdapter)
        return adapter

    def pipelines_own(
        self, text: str, text_hash: str, scheduler: Any = None, negative: str | None = None
    ) -> tuple[torch.Tensor, np.ndarray]:
        """The latents and image its own pipeline makes of a text: hierflow's x_T, and its noise key at every step."""
        if self.case.own:
            return self._with_its_prior(text, text_hash, negative)
        generators = [generator(0, 0, text_hash, 1) for _ in range(BATCH)]

        told: list[torch.Tensor] = []

        def reseed(_: Any, index: int, __: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            told.append(tensors["latents"])
            for row in generators:
                row.set_state(generator(0, 0, text_hash, index + 2).get_state())
            return tensors

        noise = self.case.noise(generator(0, 0, text_hash, INITIAL))
        with self._pipeline(scheduler) as pipeline, torch.no_grad():
            image = pipeline(
                **self.case.asked(pipeline, text, negative, self.case.guidance),
                latents=noise.repeat(BATCH, *[1] * (noise.ndim - 1)),
                height=SIZE,
                width=SIZE,
                num_inference_steps=STEPS,
                generator=generators,
                callback_on_step_end=reseed,
                output_type="np",
                return_dict=False,
                **self.case.call,
            )[0][0]
        latents = told[-1][0]
        return latents.T.reshape(self.case.latents[1:]) if self.case.tells_patches else latents, image

    def _with_its_prior(self, text: str, text_hash: str, negative: str | None) -> tuple[torch.Tensor, np.ndarray]:
        """The same for pipelines that sample their prior within the call, and tell of no step."""
        case, noise = self.case, self.case.noise(generator(0, 0, text_hash, INITIAL))
        assert case.own
        generators = [prior_generator(DiffusionSpec(), text_hash) for _ in range(BATCH)]
        stepped: list[torch.Tensor] = []

        def reseeded(to: torch.Generator) -> None:
            for row in generators:
                row.set_state(to.get_state())

        with self._pipeline() as pipeline:
            scheduler = getattr(pipeline, case.scheduler)
            plain_step = scheduler.step

            @wraps(plain_step)  # pipelines look at its parameters
            def step(*args: Any, **kwargs: Any) -> Any:
                reseeded(generator(0, 0, text_hash, len(stepped) + 1))
                result = plain_step(*args, **kwargs)
                stepped.append(result[0])
                if case.after and len(stepped) == STEPS:
                    reseeded(case.after())
                return result

            scheduler.step = step
            latents = noise.repeat(BATCH, 1, 1, 1)
            negatives = {} if negative is None else {"negative_prompt": [negative] * BATCH}
            images = case.own(pipeline, latents, text, generators, negatives)
        assert len(stepped) == STEPS
        return stepped[-1][0], images[0]

    @torch.no_grad()
    def transcribed(self, run: Run, scheduler: Any = None, evaluations: list[int] | None = None) -> torch.Tensor:
        """The final latents of every leaf by Algorithm 1 (N, ...).

        Args:
            run: whose tree and conditioning.
            scheduler: instead of the model's own, no steps set.
            evaluations: how many each step takes.
        """
        case, texts, tree = self.case, run.compiled.planted.texts, run.compiled.planted.tree
        with self._pipeline(scheduler) as pipeline:
            own = getattr(pipeline, case.scheduler)
            sampler = type(own).from_config(own.config)
            case.set_timesteps(sampler, STEPS)

            def noise(members: Members, k: int) -> torch.Generator:
                return generator(0, 0, min(texts[leaf] for leaf in members), k)

            def initial(members: Members) -> torch.Tensor:
                return case.noise(noise(members, INITIAL)) * getattr(sampler, "init_noise_sigma", 1.0)

            def predict(x: torch.Tensor, k: int, rows: dict[str, torch.Tensor]) -> torch.Tensor:
                copies = {name: row.repeat(BATCH, *[1] * (row.ndim - 1)) for name, row in rows.items()}
                x = x.repeat(BATCH, *[1] * (x.ndim - 1))
                scaling = type(sampler).from_config(sampler.config)  # a scheduler notes where it was asked to scale
                case.set_timesteps(scaling, STEPS)
                scaling._step_index = k - 1
                return case.predict(pipeline, scaling, case.guidance, x, sampler.timesteps[k - 1], copies)[:1]

            clusters = frontier(tree.merges, tree.heights, tree.leaves, run.stage.spec.sharing.tau, STEPS)
            counts = evaluations or [1] * STEPS
            by_evaluation = [step for step, count in zip(clusters, counts, strict=True) for _ in range(count)]
            return algorithm1(run.conditioning(), by_evaluation, initial, predict, sampler, noise)

    @contextmanager
    def _pipeline(self, scheduler: Any = None) -> Iterator[Any]:
        pipeline = self.case.own_pipeline(self.folder)
        name = self.case.scheduler
        own = getattr(pipeline, name)
        setattr(pipeline, name, scheduler or type(own).from_config(own.config))
        try:
            yield pipeline
        finally:
            setattr(pipeline, name, own)
