"""Plan after plan of one set, without a model: embeddings are made up, and the denoiser is taken to have run."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from hierflow.hashing import text_hash
from hierflow.plan.compiled import CompiledPlan
from hierflow.plan.identity import SamplingIdentity
from hierflow.prompts import PromptSet
from hierflow.spec import ImageSetSpec
from hierflow.stages.context import Stage
from hierflow.stages.embedding.embeddings import Embeddings
from hierflow.stages.planning.make_plan import adopt, make_plan

SAMPLING = SamplingIdentity("net", {"class": "DDPM"}, 4.0, 64, 64, "float32", 0, "per_root", 4)
PRODUCTS = ("mug", "chair", "lamp", "sofa")


def several(product: str, *numbers: int) -> list[str]:
    """Prompts of one product, such as "mug 3": they lie close together, and far from other products."""
    return [f"{product} {number}" for number in numbers]


def vector(text: str) -> np.ndarray:
    """The embedding of such a prompt."""
    product, number = text.split()
    noise = np.random.default_rng(int(number)).normal(size=3)
    return np.concatenate([np.eye(4)[PRODUCTS.index(product)], 0.15 * noise])


class Planner:
    """A user who edits the prompts and plans again.

    Attributes:
        settings: sections of the document, to change between plans.
        compiled: the latest plan.
    """

    def __init__(self, **settings: dict[str, Any]) -> None:
        self.settings: dict[str, dict[str, Any]] = {
            "diffusion": {"steps": 6},
            "sharing": {"tau": 1.0},
            "partitions": {"max_prompts": 4},
            "storage": {"path": f"memory://{uuid.uuid4().hex}"},
        }
        for name, fields in settings.items():
            self.settings[name] = {**self.settings[name], **fields}
        self.encoder, self.sampling = "enc", SAMPLING
        self.compiled: CompiledPlan | None = None

    def stage(self, texts: Sequence[str]) -> Stage:
        """A stage of the set with these prompts."""
        spec = ImageSetSpec.model_validate({"name": "demo", "prompts": {"text": list(texts)}, **self.settings})
        stage = Stage(spec, Path.cwd(), None, run="r", invocation="i")
        stage.__dict__["adapter"] = SimpleNamespace(
            encoder_fingerprint=self.encoder,
            decoder_fingerprint="dec",
            clip_fingerprint="clip",
            safety_checker=None,
            identity=self.sampling,
            tree_embeddings=lambda conditioning: conditioning["vector"],
        )
        return stage

    def plan(self, texts: Sequence[str], *, rebuild: str = "", has_run: bool = True) -> CompiledPlan:
        """Plan for `texts`; with `has_run` a state of the plan is stored."""
        stage = self.stage(texts)
        hashed = dict(sorted((text_hash(text), text) for text in texts))
        vectors = np.array([vector(text) for text in hashed.values()])
        stage.store.conditioning(self.encoder).write(list(hashed), {"vector": vectors})
        embeddings = Embeddings(tuple(hashed.values()), tuple(hashed), vectors, 0)
        prompts = PromptSet(tuple(text_hash(text)[:8] for text in texts), tuple(texts))
        compiled = make_plan(stage, prompts, embeddings, rebuild)
        adopt(stage, compiled)
        if has_run:
            state = compiled.lanes[0].ids.at(0, int(compiled.plan.first[0]))
            stage.store.states.save(state, {"latents": torch.zeros(1)}, {})
        self.compiled = stage.store.plans.current()
        assert self.compiled is not None
        assert self.compiled.document == compiled.document
        return compiled


def key_of(compiled: CompiledPlan, text: str) -> str:
    """The partition of a prompt."""
    return compiled.partition_of_text()[text_hash(text)]


def final_of(compiled: CompiledPlan) -> dict[str, str]:
    """The id of the state that each prompt (its hash) is decoded from."""
    return {text: compiled.lanes[0].ids.final(leaf) for text, leaf in compiled.leaf_of.items()}


def states_of(compiled: CompiledPlan) -> list[tuple[str, int]]:
    """Chain and step of every state of the plan, segment by segment."""
    plan, ids = compiled.plan, compiled.lanes[0].ids
    return [
        (ids.chain(segment), step)
        for segment in range(len(plan.nodes))
        for step in range(int(plan.first[segment]), int(plan.last[segment]) + 1)
    ]
