"""Benchmarks keep what they have measured and print it as tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.commands import Finished
from benchmarks.kill_loop import Tally
from benchmarks.reruns import COLUMNS, row
from benchmarks.results import header, kept


def test_a_result_is_measured_once(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "result.json"
    assert kept(path, lambda: [1, (2.5, "x")]) == [1, [2.5, "x"]]
    assert kept(path, lambda: pytest.fail("measured again")) == [1, [2.5, "x"]]


def test_a_measurement_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        kept(tmp_path / "result.json", lambda: 1 / 0)
    assert not list(tmp_path.iterdir())


def test_a_rerun_is_given_as_a_share_of_the_first() -> None:
    printed = {
        "prompts": 4,
        "partitions": {"total": 2, "run": 1},
        "evaluations": {"executed": 31, "replayed": 3, "planned": 90},
        "bytes": {"all": 4000, "states": 3000, "images": 800},
    }
    shown = row("edited", Finished(5.0, 4.0, printed), Finished(50.0, 80.0, printed))
    assert shown == "| edited | 4 | 1 of 2 | 31 | 3 | 90 | 5.0 | 10.0% | 4.0 | 5.0% | 1,000 | 750 | 200 |"
    assert shown.count("|") == header(COLUMNS).splitlines()[0].count("|")


def test_what_kills_waste_is_whatever_is_beyond_the_plan() -> None:
    books = {"planned": 100, "executed": 112, "unaccounted": 5}
    assert Tally(kills=3, denoising=2, books=books, same=True).wasted == 17
