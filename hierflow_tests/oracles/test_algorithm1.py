from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler

from .algorithm1 import Members, algorithm1, mean_conditioning, step_kwargs

N, STEPS = 3, 5
CONDITIONING = {"c": torch.randn(N, 4, generator=torch.Generator().manual_seed(1))}
ALONE = [frozenset([leaf]) for leaf in range(N)]
ALL, PAIR = frozenset(range(N)), frozenset([0, 1])


def scheduled(kind: Any) -> Any:
    scheduler = kind(num_train_timesteps=100)
    scheduler.set_timesteps(STEPS)
    return scheduler


def seeded(members: Members, k: int) -> torch.Generator:
    return torch.Generator().manual_seed(1000 * min(members) + k)


def noise(members: Members) -> torch.Tensor:
    return torch.randn(1, 4, generator=seeded(members, 999))


def predict(x: torch.Tensor, k: int, conditioning: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.sin(x + conditioning["c"]) / (1 + k)


def run(frontier: list[list[Members]], scheduler: Any) -> torch.Tensor:
    return algorithm1(CONDITIONING, frontier, noise, predict, scheduler, seeded)


def plain_loop(path: list[Members], scheduler: Any) -> torch.Tensor:
    """One prompt's own sampling loop, with the cluster it belongs to at each step."""
    scheduler = copy.deepcopy(scheduler)
    x = noise(path[0])
    for k, members in enumerate(path, start=1):
        mean = CONDITIONING["c"][sorted(members)].double().mean(0, keepdim=True).float()
        kwargs = {"generator": seeded(members, k)} if not isinstance(scheduler, DDIMScheduler) else {}
        x = scheduler.step(predict(x, k, {"c": mean}), scheduler.timesteps[k - 1], x, **kwargs).prev_sample
    return x


@pytest.mark.parametrize("kind", [DDPMScheduler, DDIMScheduler, DPMSolverMultistepScheduler])
def test_each_prompt_gets_what_a_loop_along_its_own_path_gives(kind: Any) -> None:
    # The pair starts only at step 3, and prompt 2 goes from the root to being alone at once.
    frontier = [[ALL], [ALL], [PAIR, ALONE[2]], [PAIR, ALONE[2]], ALONE]
    latents = run(frontier, scheduler := scheduled(kind))
    for leaf in range(N):
        path = [next(c for c in level if leaf in c) for level in frontier]
        torch.testing.assert_close(latents[leaf : leaf + 1], plain_loop(path, scheduler))


def test_prompts_that_share_nothing_differ_and_prompts_that_share_all_are_equal() -> None:
    assert len(run([ALONE] * STEPS, scheduled(DDPMScheduler)).unique(dim=0)) == N
    assert len(run([[ALL]] * STEPS, scheduled(DDPMScheduler)).unique(dim=0)) == 1


def test_the_given_scheduler_stays_as_it_is() -> None:
    scheduler = scheduled(DPMSolverMultistepScheduler)
    assert torch.equal(run([ALONE] * STEPS, scheduler), run([ALONE] * STEPS, scheduler))
    assert scheduler.step_index is None


def test_clusters_that_do_not_nest_are_refused() -> None:
    with pytest.raises(ValueError, match="unpack"):
        run([[PAIR, ALONE[2]], [ALL]], scheduled(DDPMScheduler))


def test_a_mean_is_taken_in_float64_and_a_prompt_alone_keeps_its_bits() -> None:
    rows = {"c": torch.tensor([[1e8], [1.0], [-1e8]])}
    assert mean_conditioning(rows, ALL)["c"].item() == pytest.approx(1 / 3)
    assert torch.equal(mean_conditioning(rows, ALONE[1])["c"], rows["c"][1:2])


def test_only_a_step_that_takes_a_generator_is_given_one() -> None:
    class Plain:
        def step(self, eps: object, t: object, x: object) -> None: ...

    assert step_kwargs(Plain(), torch.Generator()) == {}
    assert list(step_kwargs(DDPMScheduler(), torch.Generator())) == ["generator"]
