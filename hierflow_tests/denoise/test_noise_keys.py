"""Noise is keyed by what it is drawn for: seed, image index, prompt and step."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from hierflow.denoise.noise import INITIAL, generator, initial_generator, noise_seed
from hierflow.hashing import text_hash
from hierflow.plan.segments import compile_plan
from hierflow.tree import EmbeddingTree
from hierflow.tree.planted import PlantedTree

MUG = text_hash("a red mug")


def test_the_keys_never_change() -> None:
    # Every image ever made hangs on these numbers: a new version of hierflow must not draw other noise.
    assert noise_seed(0, 0, MUG, 1) == 7171576892867624842
    assert noise_seed(7, 2, MUG, INITIAL) == 2020775661385994152
    drawn = torch.randn(3, generator=generator(0, 0, MUG, 1))
    assert drawn.tolist() == [1.7442271709442139, -0.209088996052742, 0.6881477236747742]


def test_every_part_of_the_key_counts() -> None:
    keys = list(product((0, 1), (0, 1), (MUG, text_hash("a blue mug")), (INITIAL, 1, 2)))
    assert len({noise_seed(*key) for key in keys}) == len(keys)


def test_seeds_are_those_a_generator_takes() -> None:
    seeds = [noise_seed(seed, 0, MUG, 1) for seed in range(200)]
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert max(seeds) > 2**62


def test_initial_noise_is_one_for_all_or_each_its_own() -> None:
    def draw(text: str, kind: str, image_index: int = 0) -> float:
        return torch.randn(1, generator=initial_generator(0, image_index, text_hash(text), kind)).item()

    assert draw("a", "shared") == draw("b", "shared")
    assert draw("a", "per_root") != draw("b", "per_root")
    assert draw("a", "shared", 0) != draw("a", "shared", 1)


@pytest.mark.parametrize("linkage", ["ward", "average", "centroid"])
def test_exactly_one_child_goes_on_with_its_parents_noise(linkage: str) -> None:
    embeddings = torch.randn(12, 5, generator=torch.Generator().manual_seed(0)).double().numpy()
    tree = EmbeddingTree.from_embeddings(embeddings, linkage)
    planted = PlantedTree(tree, tuple(sorted(text_hash(str(i)) for i in range(12))), "encoder")
    plan = compile_plan(tree, tau=1.0, steps=10)
    keys = [min(planted.founders(int(node))) for node in plan.nodes]
    for segment in plan.is_split.nonzero()[0]:
        children = (plan.parent == segment).nonzero()[0]
        assert len(children) >= 2
        assert sum(keys[child] == keys[segment] for child in children) == 1
    for leaf in range(12):
        assert keys[int(plan.segment_of_node[leaf])] == planted.texts[leaf]
