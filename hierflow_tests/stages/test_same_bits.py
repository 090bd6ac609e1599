"""What an image looks like depends on its prompt and the plan, and on nothing about how the work was done."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hierflow.models import runtime
from hierflow_tests.stages.runs import PROMPTS, assert_equal, carry_out, spec_of

SPLITTING = {"tau": 0.5}


@pytest.mark.parametrize("scheduler", ["ddpm", "dpmpp_2m", "unipc", "euler_ancestral"])
def test_the_order_of_the_prompts_changes_no_bit(tiny_learned: Path, scheduler: str) -> None:
    runs = [
        carry_out(spec_of(tiny_learned, prompts=prompts, sharing=SPLITTING, scheduler=scheduler))
        for prompts in (PROMPTS, PROMPTS[::-1])
    ]
    assert_equal(runs[0].latents(), runs[1].latents())
    assert_equal(runs[0].pixels(), runs[1].pixels())
    assert [row.prompt for row in runs[1].assembled.rows] == PROMPTS[::-1]


@pytest.mark.parametrize("scheduler", ["ddpm", "dpmpp_2m", "unipc", "euler_ancestral"])
def test_partitioning_changes_no_bit(tiny_learned: Path, scheduler: str) -> None:
    runs = [
        carry_out(spec_of(tiny_learned, sharing={"tau": 1.0}, max_prompts=size, scheduler=scheduler))
        for size in (100, 2, 1)
    ]
    assert [len(run.ran) for run in runs] == [1, *(len(run.compiled.document.keys) for run in runs[1:])]
    assert len(runs[1].ran) > 2
    assert len(runs[2].ran) == len(PROMPTS)
    assert any(entry.stage == "trunk" and entry.evaluations for entry in runs[1].entries)
    for other in runs[1:]:
        assert_equal(runs[0].latents(), other.latents())
        assert_equal(runs[0].pixels(), other.pixels())


@pytest.mark.parametrize("scheduler", ["dpmpp_2m", "unipc", "euler"])
def test_a_partition_that_starts_from_noise_knows_nothing_of_the_one_before(
    tiny_learned: Path, scheduler: str
) -> None:
    runs = [
        carry_out(spec_of(tiny_learned, sharing={"tau": 0.0}, max_prompts=size, scheduler=scheduler))
        for size in (100, 3)
    ]
    assert len(runs[1].ran) > 1
    assert_equal(runs[0].latents(), runs[1].latents())


def test_checkpoints_change_no_bit(tiny_learned: Path) -> None:
    runs = [
        carry_out(spec_of(tiny_learned, sharing={**SPLITTING, "checkpoint_every": every}, scheduler="unipc"))
        for every in (0, 1)
    ]
    assert_equal(runs[0].latents(), runs[1].latents())


def test_the_conditioning_of_a_prompt_does_not_depend_on_its_neighbours(tiny_learned: Path) -> None:
    whole, alone = carry_out(spec_of(tiny_learned)), carry_out(spec_of(tiny_learned, prompts=PROMPTS[3:4]))
    leaf = whole.compiled.planted.leaf_of[alone.compiled.planted.texts[0]]
    for name, rows in alone.conditioning().items():
        assert torch.equal(rows[0], whole.conditioning()[name][leaf])


@pytest.mark.parametrize("largest", [64, 4, 1])
def test_where_bits_are_not_promised_images_agree_within_a_tolerance(
    tiny: Path, largest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fixed = carry_out(spec_of(tiny, sharing=SPLITTING)).latents()
    monkeypatch.setitem(runtime.LARGEST_BATCH, "cpu", largest)
    free = carry_out(spec_of(tiny, sharing=SPLITTING, deterministic=False))
    assert free.compiled.document.sampling.fixed_batch is None
    assert free.account.padding_rows == 0
    assert free.account.books.problems == ()
    sizes = free.compiled.plan.frontier_sizes
    assert free.account.network_calls == sum(-(-int(size) // largest) for size in sizes)
    for key, latents in free.latents().items():
        torch.testing.assert_close(latents, fixed[key], rtol=1e-4, atol=1e-4)


def test_more_images_a_prompt_leave_the_first_as_it_is(tiny_learned: Path) -> None:
    one = carry_out(spec_of(tiny_learned, sharing=SPLITTING)).pixels()
    two = carry_out(spec_of(tiny_learned, sharing=SPLITTING, images_per_prompt=2)).pixels()
    assert_equal(one, {key: image for key, image in two.items() if key[1] == 0})
    for prompt in PROMPTS:
        assert not np.array_equal(two[prompt, 0], two[prompt, 1])


def test_seed_guidance_and_tau_change_the_images(tiny_learned: Path) -> None:
    usual = carry_out(spec_of(tiny_learned, sharing=SPLITTING)).pixels()
    for change in ({"seed": 1}, {"guidance_scale": 2.0}, {"sharing": {"tau": 5.0}}):
        changed = carry_out(spec_of(tiny_learned, **{"sharing": SPLITTING, **change})).pixels()
        assert not any(np.array_equal(usual[key], image) for key, image in changed.items()), change
