"""Means of conditioning, made of what lies in the store without having it all in memory."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from hierflow.denoise.work import plan_work
from hierflow.errors import RunError
from hierflow.hashing import text_hash
from hierflow.plan.compiled import CompiledPlan
from hierflow.stages.context import Stage
from hierflow.stages.embedding import node_conditioning as module
from hierflow.stages.embedding.node_conditioning import node_conditioning
from hierflow.store import conditioning as store
from hierflow_tests.stages.plans import Planner, several

TEXTS = [*several("mug", *range(1, 9)), *several("sofa", *range(1, 9))]


class Made:
    """A planned set with conditioning of its own, and every stretch of its plan."""

    def __init__(self, conditioning: dict[str, np.ndarray]) -> None:
        planner = Planner(sharing={"tau": 8.0}, partitions={"max_prompts": 64})
        self.compiled: CompiledPlan = planner.plan(TEXTS, has_run=False)
        self.stage: Stage = planner.stage(TEXTS)
        self.conditioning = conditioning
        vars(self.stage)["adapter"].runtime = SimpleNamespace(torch_dtype=torch.float32)
        texts = list(self.compiled.planted.texts)
        for path in self.stage.store.files.list("conditioning"):
            self.stage.store.files.delete(path)
        self.stage.store.conditioning(planner.encoder).write(texts, conditioning)
        (lane,) = self.compiled.lanes
        ends = [int(segment) for segment in self.compiled.plan.segment_of_node[lane.leaves]]
        self.stretches = plan_work({lane: ends}, has=lambda _: False)

    def assert_means_are_numpys(self) -> None:
        made = node_conditioning(self.stage, self.compiled, self.stretches)
        sizes = set()
        for stretch in self.stretches:
            members = self.compiled.planted.founding_members(int(self.compiled.plan.nodes[stretch.segment]))
            sizes.add(len(members))
            for name, tensor in made(stretch).items():
                mean = self.conditioning[name][members].mean(axis=0, dtype=np.float64)
                assert tensor.numpy().tobytes() == mean.astype(np.float32).tobytes(), (name, members)
        assert {1, len(TEXTS)} < sizes


def drawn(*shape: int) -> np.ndarray:
    array = np.random.default_rng(0).normal(size=(len(TEXTS), *shape)).astype(np.float32)
    array[np.abs(array) < 0.3] = -0.0
    return array


@pytest.fixture
def large() -> dict[str, np.ndarray]:
    negative = np.repeat(drawn(6, 5)[:1], len(TEXTS), axis=0)
    half = drawn(7).astype(np.float16).astype(np.float32)
    return {"prompt_embeds": drawn(6, 5), "pooled": half, "negative_prompt_embeds": negative}


@pytest.mark.parametrize("kept", [0, 500, 1 << 30])
@pytest.mark.parametrize("shard", [100, 400, 1 << 30])
def test_means_have_numpys_bits_however_little_stays_in_memory(
    large: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch, kept: int, shard: int
) -> None:
    monkeypatch.setattr(module, "KEPT", kept)
    monkeypatch.setattr(store, "SHARD_BYTES", shard)
    Made(large).assert_means_are_numpys()


def test_a_negative_prompt_that_differs_after_all_is_averaged(large: dict[str, np.ndarray]) -> None:
    Made(large | {"negative_prompt_embeds": drawn(6, 5)}).assert_means_are_numpys()


def test_what_nodes_have_alike_is_one_tensor(large: dict[str, np.ndarray]) -> None:
    made = Made(large)
    conditioning = node_conditioning(made.stage, made.compiled, made.stretches)
    assert len({id(conditioning(stretch)["negative_prompt_embeds"]) for stretch in made.stretches}) == 1


def test_only_the_files_of_the_slices_own_prompts_are_opened(
    large: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "SHARD_BYTES", 1)
    made, opened = Made(large), []
    real = store.read_arrays

    def noted(storage: Any, path: str) -> Any:
        opened.append(path)
        return real(storage, path)

    monkeypatch.setattr(store, "read_arrays", noted)
    leaf = made.compiled.leaf_of[text_hash(TEXTS[0])]
    own = [stretch for stretch in made.stretches if made.compiled.plan.nodes[stretch.segment] == leaf]
    conditioning = node_conditioning(made.stage, made.compiled, own)
    assert np.array_equal(conditioning(own[0])["pooled"].numpy(), large["pooled"][leaf])
    assert len(opened) == 1


def test_what_is_lost_meanwhile_is_said(large: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 0)
    made = Made(large)
    conditioning = node_conditioning(made.stage, made.compiled, made.stretches)
    for path in made.stage.store.files.list("conditioning"):
        made.stage.store.files.delete(path)
    with pytest.raises(RunError, match=r"1 prompts .* lost or damaged"):
        conditioning(made.stretches[0])
