"""A sampler's state can be branched, joined, stored and restored anywhere in its schedule, to the bit."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from hierflow.denoise.sampler_state import SamplerState, joined
from hierflow.store.states import StateStore
from hierflow.store.storage import Storage
from hierflow_tests.models.literal import SCHEDULERS, sampler_of, step_with

STEPS = 6
CONFIG = {"num_train_timesteps": 1000, "beta_schedule": "linear", "beta_start": 0.00085, "beta_end": 0.012}
ROWS = torch.randn(4, 2, 3, 3, generator=torch.Generator().manual_seed(0))


def output(x: torch.Tensor, k: int) -> torch.Tensor:
    return torch.sin(x + k)


def advance(scheduler: Any, x: torch.Tensor, steps: range) -> torch.Tensor:
    """Steps k (1-based) of every row, each with the noise of its own row and step."""
    for k in steps:
        # The noise follows the row's content, so that a row draws the same wherever it stands.
        generators = [torch.Generator().manual_seed(int(row.sum().item() * 1e4) % 2**31 + k) for row in x]
        x = step_with(scheduler, output(x, k), k, x, generators)
    return x


def run_until(name: str, k: int) -> tuple[Any, SamplerState]:
    scheduler = sampler_of(name, CONFIG, STEPS).scheduler
    x = advance(scheduler, ROWS * scheduler.init_noise_sigma, range(1, k + 1))
    return scheduler, SamplerState.captured(scheduler, x)


def finish(name: str, state: SamplerState, after: int, scheduler: Any = None) -> torch.Tensor:
    scheduler = scheduler or sampler_of(name, CONFIG, STEPS).scheduler
    state.restore(scheduler)
    return advance(scheduler, state.latents, range(after + 1, STEPS + 1))


def whole(name: str) -> torch.Tensor:
    scheduler = sampler_of(name, CONFIG, STEPS).scheduler
    return advance(scheduler, ROWS * scheduler.init_noise_sigma, range(1, STEPS + 1))


@pytest.mark.parametrize("after", [1, 2, 4])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_stored_state_goes_on_in_a_new_sampler(name: str, after: int, tmp_path: Path) -> None:
    _, state = run_until(name, after)
    store = StateStore(Storage(tmp_path))
    store.save("a" * 64, state.tensors(), state.meta())
    loaded = StateStore(Storage(tmp_path)).load("a" * 64)
    assert loaded is not None
    assert torch.equal(finish(name, SamplerState.stored(*loaded, "cpu"), after), whole(name))


@pytest.mark.parametrize("name", SCHEDULERS)
def test_rows_are_gathered_in_any_order_and_more_than_once(name: str) -> None:
    _, state = run_until(name, 3)
    order = [2, 0, 0, 3]
    assert torch.equal(finish(name, state.rows(order), 3), whole(name)[order])


@pytest.mark.parametrize("name", SCHEDULERS)
def test_rows_of_several_states_are_joined(name: str) -> None:
    _, state = run_until(name, 3)
    parts = [state.rows([1]), state.rows([3, 0])]
    assert torch.equal(finish(name, joined(parts), 3), whole(name)[[1, 3, 0]])
    assert joined(parts[:1]) is parts[0]


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_state_is_untouched_by_what_the_sampler_does_next(name: str) -> None:
    scheduler, state = run_until(name, 2)
    before = copy.deepcopy(state.tensors())
    finish(name, state, 2, scheduler)
    assert state.tensors().keys() == before.keys()
    assert all(torch.equal(tensor, before[part]) for part, tensor in state.tensors().items())
    assert torch.equal(finish(name, state, 2, scheduler), whole(name))  # back in the middle, after the end


@pytest.mark.parametrize(("name", "outputs"), [("ddpm", 0), ("ddim", 0), ("euler", 0), ("dpmpp_2m", 2), ("unipc", 3)])
def test_history_is_kept_where_the_sampler_has_any(name: str, outputs: int) -> None:
    _, state = run_until(name, 3)
    tensors = state.tensors()
    assert len(tensors) == 1 + outputs
    assert all(tensor.shape == ROWS.shape for tensor in tensors.values())
    assert json.loads(json.dumps(state.meta())) == state.meta()


def test_states_of_different_levels_are_not_joined() -> None:
    _, early = run_until("unipc", 1)
    _, late = run_until("unipc", 3)
    start = SamplerState.captured(sampler_of("unipc", CONFIG, STEPS).scheduler, ROWS)
    for states in ([early, late], [start, late]):
        with pytest.raises(ValueError, match="different levels"):
            joined(states)
