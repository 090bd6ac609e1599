"""The ledger by invocation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hierflow.audit.history import past_runs, plans_of, total_of
from hierflow.store.ledger import MEASURED, Entry, Paid, Work
from hierflow_tests.audit.examples import BOTH, NO_PRICES, entry


def test_the_entries_of_an_invocation_are_one_run() -> None:
    encoding = entry("one", stage="embeddings", evaluations=0, started=1.0, standard=0, planned=0)
    first = [encoding, entry("one", started=2.0), entry("one", started=3.0)]
    later = entry("two", started=9.0, standard=800, planned=200, gpu=False)
    one, two = past_runs([*first, later], BOTH)
    assert (one.invocation, one.began, one.standard, one.planned, one.executed) == ("one", 1.0, 400, 100, 200)
    assert (one.seconds, one.gpu_seconds, one.kwh) == (60.0, 60.0, pytest.approx(0.006))
    assert one.cost == pytest.approx(3 * 0.021)
    assert one.saved == 0.75
    assert (two.standard, two.executed, two.gpu_seconds, two.cost) == (800, 100, 0.0, None)


def test_a_run_of_which_a_part_failed_or_was_killed_is_marked() -> None:
    runs = past_runs([entry("a"), entry("b"), entry("b", status="lost"), entry("c", status="failed")], NO_PRICES)
    assert [run.failed for run in runs] == [False, True, True]


def test_runs_of_before_plans_were_noted_have_no_share_saved() -> None:
    (run,) = past_runs([entry(standard=0, planned=0)], NO_PRICES)
    assert run.saved is None
    assert run.as_json()["saved"] is None


def test_what_comes_before_there_is_a_plan_is_for_the_one_that_is_executed_next() -> None:
    encoding: dict[str, Any] = {"stage": "embeddings", "plan": ""}
    entries = [
        entry("looked ahead", **encoding),
        entry("one", **encoding),
        entry("one", plan="A"),
        entry("one", **encoding),  # what was lost is encoded in between
        entry("broke off", **encoding),
        entry("two", plan="B"),
        entry("looks ahead", **encoding),
    ]
    assert plans_of(entries) == {"looked ahead": "A", "one": "A", "broke off": "B", "two": "B", "looks ahead": ""}


STEPS = 4


def flow(invocation: str, *chains: str, paid: str = "", first: int = 3, **fields: Any) -> Entry:
    """Executes steps `first` to 4 of some chains, at 0.1 s a step; the images of `paid` are recorded."""
    work = tuple(Work(chain, first, STEPS) for chain in chains)
    executed = sum(run.last - run.first + 1 for run in work)
    usual: dict[str, Any] = {"plan": "A", "steps": STEPS, "work": work, "evaluations": executed}
    usual |= {"paid": tuple(Paid(chain, 3, STEPS, 1.0) for chain in paid), "seconds": {"denoise": 0.1 * executed}}
    return entry(invocation, **{**usual, **fields})


def trunk(invocation: str, **fields: Any) -> Entry:
    return flow(invocation, stage="trunk", work=(Work("t", 1, 2),), evaluations=2, seconds={"denoise": 0.2}, **fields)


def test_every_run_tells_what_it_made_and_what_sharing_saved_it() -> None:
    first, second = past_runs([trunk("one"), flow("one", "a", "b", paid="ab"), flow("two", "c", paid="c")], BOTH)
    assert (first.images, first.saved_evaluations) == (2, 2 * STEPS - 6)
    assert (second.images, second.saved_evaluations) == (1, STEPS - 2)
    assert first.seconds_saved == pytest.approx(0.2)
    assert first.cost_saved == pytest.approx(0.2 * 0.021 / 20)


def test_an_image_counts_for_the_run_that_finished_it_first_once_it_is_recorded() -> None:
    killed, recorder = flow("killed", "a", "b", status="lost"), flow("next", paid="a")
    again = flow("again", "a", paid="a")
    runs = past_runs([killed, recorder, again], NO_PRICES)
    assert [(run.images, run.saved_evaluations) for run in runs] == [(1, STEPS - 4), (0, 0), (0, -2)]
    assert [run.seconds_saved for run in runs] == [0.0, 0.0, pytest.approx(-0.2)]


def test_what_measuring_executed_for_images_saves_nothing_and_counts_once() -> None:
    lent = (Work("t", 1, 2),)
    pilot = replace(trunk("one"), stage=MEASURED, plan="")
    one, two = past_runs([pilot, flow("one", "a", paid="a", lent=lent), flow("two", "b", paid="b", lent=lent)], BOTH)
    assert (one.images, one.saved_evaluations) == (1, STEPS - 2 - 2)
    assert (two.images, two.saved_evaluations) == (1, STEPS - 2)


def test_what_is_saved_adds_up_over_runs_and_the_old_are_counted_apart() -> None:
    old = replace(flow("old", "z"), paid=None, steps=0)
    runs = past_runs(
        [old, trunk("one"), flow("one", "a", "b", paid="ab"), flow("two", "c", "z", paid="cz")], NO_PRICES
    )
    assert (runs[0].images, runs[0].saved_evaluations, runs[0].seconds_saved) == (None, None, None)
    total = total_of(runs)
    assert (total.runs, total.untold, total.images, total.executed) == (3, 1, 3, 2 + 6 + 4)
    assert total.saved_evaluations == 2 + 0
    assert total.seconds_saved == pytest.approx(0.2)
    assert (total.cost, total.cost_saved) == (None, None)
    nothing = total_of([])
    assert (nothing.runs, nothing.images, nothing.seconds) == (0, None, 0)
