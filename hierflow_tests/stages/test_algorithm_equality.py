"""For any tau, latents are those of a literal transcription of the paper's Algorithm 1, bit for bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hierflow.denoise.noise import INITIAL, generator
from hierflow.mini import WEIGHTS
from hierflow_tests.models.literal import SCHEDULERS, Literal
from hierflow_tests.oracles.algorithm1 import Members, algorithm1
from hierflow_tests.oracles.cut import frontier
from hierflow_tests.stages.runs import Run, carry_out, spec_of


def transcription(folder: Path, run: Run, image_index: int = 0) -> torch.Tensor:
    """(N, 4, h, w): the final latents of every leaf."""
    spec, tau = run.stage.spec.diffusion, run.stage.spec.sharing.tau
    texts, tree = run.compiled.planted.texts, run.compiled.planted.tree
    literal = Literal(folder, spec.scheduler, spec.steps, spec.guidance_scale)

    def noise(members: Members, k: int) -> torch.Generator:
        return generator(spec.seed, image_index, min(texts[leaf] for leaf in members), k)

    def initial(members: Members) -> torch.Tensor:
        if spec.initial_noise == "shared":
            return literal.initial(generator(spec.seed, image_index, "shared", INITIAL))
        return literal.initial(noise(members, INITIAL))

    clusters = frontier(tree.merges, tree.heights, tree.leaves, tau, spec.steps)
    return algorithm1(run.conditioning(), clusters, initial, literal.predict, literal.scheduler, noise)


def assert_transcribed(folder: Path, run: Run, image_index: int = 0) -> None:
    expected, latents = transcription(folder, run, image_index), run.latents()
    for text, hashed in zip(run.prompts.distinct, run.prompts.hashes, strict=True):
        leaf = run.compiled.planted.leaf_of[hashed]
        assert torch.equal(latents[text, image_index], expected[leaf : leaf + 1]), text


@pytest.mark.parametrize(
    ("tau", "initial_noise"),
    [
        (0.3, "per_root"),
        (1.0, "per_root"),
        (100.0, "per_root"),
        (0.3, "shared"),  # many roots, one x_T
        pytest.param(1.0, "shared", marks=pytest.mark.slow),
        pytest.param(100.0, "shared", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_latents_are_those_of_algorithm_1(tiny: Path, scheduler: str, tau: float, initial_noise: str) -> None:
    run = carry_out(spec_of(tiny, sharing={"tau": tau}, scheduler=scheduler, initial_noise=initial_noise))
    assert run.compiled.plan.is_split.any()
    assert_transcribed(tiny, run)


@pytest.mark.parametrize("linkage", ["average", "centroid"])
def test_whatever_tree_is_cut_latents_are_those_of_algorithm_1(tiny_learned: Path, linkage: str) -> None:
    assert_transcribed(tiny_learned, carry_out(spec_of(tiny_learned, sharing={"linkage": linkage, "tau": 0.5})))


def test_without_guidance_latents_are_those_of_algorithm_1(tiny: Path) -> None:
    assert_transcribed(tiny, carry_out(spec_of(tiny, guidance_scale=1.0)))


def test_every_image_of_a_prompt_is_that_of_algorithm_1(tiny_learned: Path) -> None:
    run = carry_out(spec_of(tiny_learned, images_per_prompt=2, seed=5))
    for image_index in range(2):
        assert_transcribed(tiny_learned, run, image_index)


@pytest.mark.parametrize("tau", [0.0, 100.0])
def test_one_step_and_one_prompt_are_those_of_algorithm_1(tiny_learned: Path, tau: float) -> None:
    assert_transcribed(tiny_learned, carry_out(spec_of(tiny_learned, sharing={"tau": tau}, steps=1)))
    assert_transcribed(tiny_learned, carry_out(spec_of(tiny_learned, sharing={"tau": tau}, prompts=["a mug"])))


def test_latents_of_the_mini_model_are_those_of_algorithm_1() -> None:
    prompts = [f"a photo of a {color} {thing}" for color in ("red", "blue") for thing in ("mug", "chair")]
    run = carry_out(spec_of("mini", prompts=prompts[:3], sharing={"tau": 1.0}, steps=4))
    assert run.compiled.plan.saved > 0
    assert_transcribed(WEIGHTS, run)
