"""The account of a run: seconds, what was saved of them, and flat figures to plot."""

from __future__ import annotations

import json

import pytest

from hierflow.audit.made import Made
from hierflow.store.ledger import MEASURED
from hierflow_tests.audit.examples import BOTH, accounted, books, entry


def test_what_was_saved_is_estimated_at_the_runs_own_pace() -> None:
    found = accounted()
    assert found.seconds_saved == pytest.approx((400 - 100) * 0.1)
    assert found.saved_end_to_end == pytest.approx(30 / (400 * 0.1 + 4 + 6))  # the start-up overlaps with the rest


def test_prior_and_decoder_lessen_the_share_that_is_saved_end_to_end() -> None:
    prior = entry(stage="embeddings", evaluations=0, seconds={"encode": 50.0})
    assert accounted([entry(), prior]).saved_end_to_end == pytest.approx(30 / (40 + 10 + 50))


def test_nothing_is_saved_for_images_that_could_not_be_made() -> None:
    found = accounted(kept=books(outstanding=20), made=Made(5, 200, 100))
    assert found.seconds_saved == pytest.approx((200 - 100) * 0.1)


def test_a_run_that_repeats_more_than_it_shares_has_lost_what_others_saved() -> None:
    found = accounted(kept=books(redone=100), made=Made(0, 0, 100))
    assert (found.seconds_saved, found.saved_end_to_end) == (pytest.approx(-10.0), None)


def test_what_reuse_spared_is_told_apart_and_in_nothing_that_is_saved() -> None:
    one = Made(1, 40, 30)
    without = accounted([entry(evaluations=30, seconds={"denoise": 3.0})], BOTH, books(executed=30), one)
    edit = accounted([entry(evaluations=30, seconds={"denoise": 3.0})], BOTH, books(executed=30, reused=70), one)
    assert edit.seconds_reused == pytest.approx(7.0)
    assert edit.seconds_saved == without.seconds_saved == pytest.approx(1.0)
    assert edit.saved_end_to_end == without.saved_end_to_end
    assert edit.cost is not None
    assert without.cost is not None
    assert edit.cost.saved == without.cost.saved
    assert edit.cost.reused == pytest.approx(7.0 * 0.021 / 20)  # of the GPU seconds all of the denoising's price


def test_what_the_set_took_is_told_at_the_pace_and_price_of_those_who_made_it() -> None:
    now = accounted(prices=BOTH).set_now
    assert (now.images, now.standard, now.executed) == (10, 400, 100)
    assert (now.seconds, now.seconds_saved) == (pytest.approx(10.0), pytest.approx(30.0))
    assert (now.cost, now.cost_saved) == (pytest.approx(0.0105), pytest.approx(0.0315))
    unpriced = accounted([entry(gpu=False)], BOTH).set_now
    assert (unpriced.seconds, unpriced.cost, unpriced.cost_saved) == (pytest.approx(10.0), None, None)


def test_measuring_takes_nothing_from_what_was_saved_and_is_shown_by_itself() -> None:
    measuring = entry(stage=MEASURED, evaluations=900, seconds={"denoise": 90.0, "load": 3.0, "startup": 9.0})
    alone = accounted(prices=BOTH)
    both = accounted([entry(), measuring], BOTH, books(executed=1000, measured=900))
    assert (both.seconds_saved, both.saved_end_to_end) == (alone.seconds_saved, alone.saved_end_to_end)
    assert both.spent == {**alone.spent, "measure": 93.0}
    assert both.cost is not None
    assert alone.cost is not None
    assert (both.cost.saved, both.cost.measured) == (alone.cost.saved, alone.cost.spent)
    assert both.cost.spent == pytest.approx(2 * 0.021)  # 20 s on a GPU each


def test_a_run_that_only_measured_has_saved_nothing_that_is_known() -> None:
    measuring = entry(stage=MEASURED)
    found = accounted([measuring], BOTH, books(executed=100, measured=100, reused=100))
    assert (found.seconds_saved, found.saved_end_to_end) == (None, None)
    assert found.cost is not None
    assert (found.cost.saved, found.cost.measured) == (None, found.cost.spent)


def test_a_run_that_executed_nothing_has_no_pace_to_estimate_by() -> None:
    idle = accounted([entry(evaluations=0, seconds={"decode": 2.0})], BOTH, books(executed=0, reused=100))
    assert (idle.seconds_saved, idle.saved_end_to_end) == (None, None)
    assert idle.cost is not None
    assert idle.cost.spent is not None
    assert idle.cost.saved is None


def test_the_metadata_is_flat_and_has_every_figure() -> None:
    from hierflow.audit.account import audit_metadata

    found = audit_metadata(accounted(prices=BOTH))
    assert all(value is None or isinstance(value, int | float | str) for value in found.values())
    assert (found["standard"], found["planned"], found["executed"], found["saved"]) == (400, 100, 100, 0.75)
    assert (found["seconds"], found["gpu_seconds"], found["kwh"]) == (20.0, 20.0, 0.002)
    assert (found["cost"], found["currency"]) == (pytest.approx(0.021), "EUR")
    assert found["cost_saved"] == pytest.approx(30 * 0.021 / 20)
    without = audit_metadata(accounted([entry(gpu=False)]))
    assert [without[name] for name in ("kwh", "cost", "cost_saved", "currency")] == [None] * 4
    assert without["gpu_seconds"] == 0


def test_the_account_can_be_said_in_json() -> None:
    plain = json.loads(json.dumps(accounted(prices=BOTH).as_json()))
    assert plain["gpu"] == {"seconds": 20.0, "names": ["H200"], "kwh": 0.002, "metered_seconds": 20.0, "note": ""}
    assert plain["cost"]["currency"] == "EUR"
    assert (plain["books"]["balanced"], plain["books"]["saved"]) == (True, 0.75)
    assert plain["runs"][0]["gpu_seconds"] == 20.0
