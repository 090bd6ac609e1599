"""The ledger by invocation."""

from __future__ import annotations

import pytest

from hierflow.audit.history import past_runs, plans_of
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
    encoding = {"stage": "embeddings", "plan": ""}
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
