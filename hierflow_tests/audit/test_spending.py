"""GPU seconds, energy and money: what is priced, what is not, and that it says so."""

from __future__ import annotations

import pytest

from hierflow.audit.spending import cost_of, gpu_use
from hierflow.spec import CostSpec
from hierflow_tests.audit.examples import BOTH, NO_PRICES, entry


def test_gpu_seconds_and_energy_are_added_up_and_the_cards_named() -> None:
    use = gpu_use([entry(), entry(machine={"gpu": "A100"}), entry(gpu=False)])
    assert (use.seconds, use.names, use.kwh) == (40.0, ("A100", "H200"), pytest.approx(0.004))
    assert use.note == ""


def test_on_a_cpu_the_books_say_so_and_price_nothing() -> None:
    use = gpu_use([entry(gpu=False)])
    assert (use.seconds, use.names, use.kwh, use.note) == (0.0, (), None, "no GPU was used")
    cost = cost_of(BOTH, [entry(gpu=False)], 30.0, None)
    assert cost is not None
    assert (cost.spent, cost.saved, cost.note) == (None, None, "no GPU was used")


def test_a_card_that_reports_no_energy_is_named_with_the_reason() -> None:
    silent = entry(kwh=None, energy_note="not reported by T4 (Not Supported)")
    assert gpu_use([silent]).kwh is None
    assert gpu_use([silent]).note == "energy not reported by T4 (Not Supported)"
    both = gpu_use([silent, entry()])
    assert (both.kwh, both.metered_seconds) == (0.002, 20.0)


def test_entries_older_than_the_count_are_not_taken_for_a_cpus() -> None:
    old = entry(device="", gpu_seconds=0.0, kwh=None)
    assert gpu_use([old]).note == "1 of the runs took place before GPU seconds were counted"
    assert gpu_use([entry(gpu=False, device="")]).note == "no GPU was used"


def test_without_prices_there_is_no_cost() -> None:
    assert cost_of(NO_PRICES, [entry()], 30.0, None) is None


@pytest.mark.parametrize(
    ("prices", "spent"),
    [
        (CostSpec(per_gpu_hour=3.6), 0.020),
        (CostSpec(per_kwh=0.5), 0.001),
        (BOTH, 0.021),
        (CostSpec(per_gpu_hour=0), 0.0),
    ],
)
def test_both_prices_are_paid_where_both_are_given(prices: CostSpec, spent: float) -> None:
    cost = cost_of(prices, [entry()], None, None)
    assert cost is not None
    assert cost.spent == pytest.approx(spent)
    assert (cost.currency, cost.saved, cost.note) == (prices.currency, None, "")


def test_what_sharing_saved_is_priced_at_what_a_gpu_second_cost() -> None:
    cost = cost_of(BOTH, [entry()], 30.0, None)
    assert cost is not None
    assert cost.saved == pytest.approx(30.0 * 0.021 / 20.0)


def test_seconds_saved_on_a_cpu_save_no_money() -> None:
    cost = cost_of(BOTH, [entry(), entry(gpu=False, seconds={"denoise": 30.0})], 40.0, None)
    assert cost is not None
    assert cost.saved == pytest.approx(10.0 * 0.021 / 20.0)  # a quarter of the denoising was on the GPU


def test_electricity_that_is_not_reported_is_not_in_the_price_and_that_is_said() -> None:
    silent = entry(kwh=None, energy_note="not reported by T4")
    cost = cost_of(BOTH, [silent], None, None)
    assert cost is not None
    assert cost.spent == pytest.approx(0.020)
    assert cost.note == "electricity is priced for 0% of the GPU seconds: energy not reported by T4"
    alone = cost_of(CostSpec(per_kwh=0.5), [silent], 30.0, None)
    assert alone is not None
    assert (alone.spent, alone.saved) == (None, None)
