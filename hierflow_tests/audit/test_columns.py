"""The account by a column of the prompts sums to the whole, whatever the column."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierflow.audit.columns import FEW, ColumnShare, by_column, by_columns, columns_of
from hierflow.errors import InputError
from hierflow.images import ImageRow
from hierflow.plan.lanes import Variant
from hierflow.prompts.settings import SETTINGS
from hierflow_tests.audit.examples import BOTH, accounted, entry, row

STEPS = 40


def named(shares: Sequence[ColumnShare]) -> dict[Any, ColumnShare]:
    return {share.value: share for share in shares}


def campaigns(*values: Any) -> list[ImageRow]:
    return [row(f"p{place}", axes={"campaign": value}) for place, value in enumerate(values)]


VALUES = st.one_of(st.none(), st.booleans(), st.integers(0, 3), st.sampled_from([0.5, math.nan]), st.text(max_size=2))
ROWS = st.lists(
    st.builds(
        lambda place, value, planned, paid, status, run: row(
            f"p{place}",
            prompt=f"text {place % 3}",
            axes={"campaign": value},
            evaluations=planned,
            evaluations_paid=paid,
            status=status,
            run_id=run,
        ),
        st.integers(0, 9),
        VALUES,
        st.floats(0, 40),
        st.floats(0, 80),
        st.sampled_from(["current", "outdated", "failed"]),
        st.sampled_from(["run of me", "run of somebody"]),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(ROWS, st.sampled_from(["campaign", "prompt_id", "partition"]))
def test_every_figure_sums_to_the_sets(rows: list[ImageRow], column: str) -> None:
    account = accounted(prices=BOTH)
    shares = by_column(rows, STEPS, column, account)
    assert sum(share.images for share in shares) == len(rows)
    assert sum(share.made for share in shares) == sum(r.status == "current" for r in rows)
    assert sum(share.standard for share in shares) == pytest.approx(STEPS * len({r.prompt for r in rows}))
    assert sum(share.planned for share in shares) == pytest.approx(sum(r.evaluations for r in rows))
    paid = sum(r.evaluations_paid for r in rows if r.status == "current")
    assert sum(share.paid for share in shares) == pytest.approx(paid)
    assert sum(share.gpu_seconds for share in shares) == pytest.approx(account.gpu.seconds)
    assert account.cost is not None
    assert sum(share.cost or 0 for share in shares) == pytest.approx(account.cost.spent)
    json.dumps([share.as_json() for share in shares], allow_nan=False)


def test_each_value_has_its_own_images_and_what_they_save() -> None:
    rows = campaigns("spring", "spring", "summer")
    found = named(by_column([rows[0], rows[1], replace(rows[2], evaluations=10.0)], STEPS, "campaign", accounted()))
    assert list(found) == ["spring", "summer"]  # most planned evaluations first
    assert (found["spring"].images, found["spring"].standard, found["spring"].planned) == (2, 80, 50)
    assert found["spring"].saved == pytest.approx(1 - 50 / 80)
    assert found["summer"].saved == pytest.approx(1 - 10 / 40)


def test_rows_of_one_text_share_what_it_would_have_taken() -> None:
    rows = [row("a", prompt="a mug"), row("b", prompt="a mug", axes={"campaign": "summer"})]
    assert [share.standard for share in by_column(rows, STEPS, "campaign", accounted())] == [STEPS / 2] * 2


def test_gpu_seconds_and_cost_follow_what_this_plans_runs_executed() -> None:
    rows = campaigns("new", "earlier", "failed")
    rows = [rows[0], replace(rows[1], run_id="run of somebody"), replace(rows[2], status="failed", error="why")]
    found = named(by_column(rows, STEPS, "campaign", accounted(prices=BOTH)))
    assert [found[name].gpu_seconds for name in ("new", "earlier", "failed")] == [20.0, 0.0, 0.0]
    assert found["new"].cost == pytest.approx(0.021)
    assert [found[name].paid for name in ("new", "earlier", "failed")] == [25.0, 25.0, 0.0]


def test_what_runs_that_executed_nothing_took_is_divided_equally() -> None:
    rows = [replace(r, evaluations_paid=0.0) for r in campaigns("a", "a", "b", "c")]
    assert [share.gpu_seconds for share in by_column(rows, STEPS, "campaign", accounted())] == [10.0, 5.0, 5.0]


def test_without_a_gpu_no_value_costs_anything() -> None:
    (share,) = by_column(campaigns("a"), STEPS, "campaign", accounted([entry(gpu=False)], BOTH))
    assert (share.gpu_seconds, share.cost) == (0.0, None)


def test_a_column_that_does_not_exist_is_refused_with_the_names_of_those_that_do() -> None:
    with pytest.raises(InputError, match=r"--by: 'sku' is not a column .* one of campaign, seed, .*, partition"):
        by_column(campaigns("a"), STEPS, "sku", accounted())


def test_columns_of_many_values_are_left_out_unless_asked_for() -> None:
    rows = [row(f"p{n}", axes={"sku": n, "shelf": n % FEW}) for n in range(FEW + 1)]
    found, left_out = by_columns(rows, STEPS, accounted())
    assert list(found) == ["shelf"]
    assert len(found["shelf"]) == FEW
    assert left_out == {"sku": FEW + 1}
    assert len(by_column(rows, STEPS, "sku", accounted())) == FEW + 1


def test_what_rows_set_for_themselves_is_a_column_too() -> None:
    wide = replace(row("b"), variant=Variant(7, 64, 96), negative_prompt="blurry")
    rows = [row("a"), wide]
    assert named(by_column(rows, STEPS, "seed", accounted())).keys() == {0, 7}
    assert named(by_column(rows, STEPS, "image_width", accounted())).keys() == {64, 96}
    assert named(by_column(rows, STEPS, "image_height", accounted())).keys() == {64}
    assert named(by_column(rows, STEPS, "negative_prompt", accounted())).keys() == {"", "blurry"}
    unasked, _ = by_columns(rows, STEPS, accounted())
    assert unasked.keys() == {"campaign", "seed", "negative_prompt", "image_width"}  # where rows differ


def test_rows_may_lack_an_axis() -> None:
    rows = [row("a", axes={"color": "red"}), row("b", axes={"shape": "round"})]
    assert columns_of(rows) == ["color", "shape", *SETTINGS, "prompt_id", "partition"]
    assert {share.value for share in by_column(rows, STEPS, "color", accounted())} == {"red", None}


def test_rows_that_hold_no_number_are_one_value() -> None:
    (share,) = by_column(campaigns(float("nan"), float("nan")), STEPS, "campaign", accounted())
    assert (share.value, share.images) == ("nan", 2)


def test_values_that_json_does_not_know_become_text() -> None:
    found = by_column(campaigns(datetime.date(2026, 1, 2), math.inf, True), STEPS, "campaign", accounted())
    assert {share.as_json()["value"] for share in found} == {"2026-01-02", "inf", True}
