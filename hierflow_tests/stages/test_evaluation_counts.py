"""What a hook on the network counts is what the plan says, padding apart, and the books balance."""

from __future__ import annotations

from pathlib import Path

import pytest

from hierflow_tests.stages.runs import Run, carried_out, spec_of, stage_of

MANY = [f"a {color} {thing}" for color in ("red", "blue", "grey") for thing in ("mug", "hat", "cat", "oak")][:11]
BATCH = 8


def counted(model: Path, **settings: object) -> tuple[Run, list[int]]:
    """A run, and the batch rows of every call of its network as a hook of the test's own saw them."""
    stage, rows = stage_of(spec_of(model, prompts=MANY, **settings)), []
    stage.adapter.network.register_forward_pre_hook(
        lambda module, args, kwargs: rows.append(len(kwargs["sample"])), with_kwargs=True
    )
    return carried_out(stage), rows


@pytest.mark.parametrize(("guidance", "rows_an_evaluation"), [(1.0, 1), (4.0, 2)])
@pytest.mark.parametrize("tau", [0.0, 0.3, 1.0, 100.0])
def test_the_network_sees_the_plans_frontier_and_its_padding(
    tiny_learned: Path, tau: float, guidance: float, rows_an_evaluation: int
) -> None:
    run, rows = counted(tiny_learned, sharing={"tau": tau}, guidance_scale=guidance)
    calls = [-(-int(size) // BATCH) for size in run.compiled.plan.frontier_sizes]
    assert rows == [BATCH * rows_an_evaluation] * sum(calls)
    (entry,) = (entry for entry in run.entries if entry.stage == "partition")
    assert entry.network_calls == sum(calls)
    assert entry.network_rows == sum(rows)
    assert entry.evaluations == run.compiled.plan.evaluations
    assert entry.padding_rows == sum(rows) - run.compiled.plan.evaluations * rows_an_evaluation
    assert entry.unaccounted == 0


@pytest.mark.parametrize("max_prompts", [1, 3, 100])
@pytest.mark.parametrize("tau", [0.0, 0.3, 1.0, 100.0])
def test_the_books_balance_however_the_set_is_divided(tiny_learned: Path, tau: float, max_prompts: int) -> None:
    run, rows = counted(tiny_learned, sharing={"tau": tau}, max_prompts=max_prompts, images_per_prompt=2)
    books, plan = run.account.books, run.compiled.plan
    assert books.problems == ()
    assert books.executed == books.noted == books.planned == 2 * plan.evaluations
    assert (books.reused, books.replayed, books.redone, books.outstanding, books.unaccounted) == (0, 0, 0, 0, 0)
    assert books.standard == 2 * len(MANY) * plan.steps
    assert sum(rows) == run.account.network_rows
    assert sum(rows) - run.account.padding_rows == 2 * books.executed  # guidance doubles the rows


@pytest.mark.parametrize("max_prompts", [3, 100])
def test_the_images_shares_sum_to_the_plan_and_to_what_was_executed(tiny_learned: Path, max_prompts: int) -> None:
    run, _ = counted(tiny_learned, max_prompts=max_prompts)
    assert sum(row.evaluations for row in run.assembled.rows) == pytest.approx(run.compiled.plan.evaluations)
    assert sum(row.evaluations_paid for row in run.assembled.rows) == pytest.approx(run.account.books.executed)


def test_the_prior_is_counted_apart(tiny_learned: Path) -> None:
    run, _ = counted(tiny_learned, prior_steps=3)
    assert run.account.prior_evaluations == 3 * len(MANY)
