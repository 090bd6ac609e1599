"""When a set's schedule runs, by Dagster's own iterator."""

from __future__ import annotations

import datetime
import itertools
from collections import Counter
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator  # the one that the daemon goes by

from hierflow.assets.build import build_image_set
from hierflow.document import load_document
from hierflow.errors import InputError
from hierflow_tests.image_sets import write_document


@pytest.mark.parametrize(
    ("cron", "problem"),
    [
        ("0 3 31 2 *", "never occurs"),
        ("0 0 30 2 *", "never occurs"),
        ("0 0 30-31 feb *", "never occurs"),
        ("0 0 31 4,6,9,11 *", "never occurs"),  # Dagster defines it, and its daemon fails at every tick
        ("0 0 31 2 1", "never occurs"),  # Dagster refuses it
        ("0 24 * * *", "is not a cron expression"),
        ("0 3 * * blursday", "is not a cron expression"),
        ("0 3 * *", "is not a cron expression"),
    ],
)
def test_a_schedule_that_never_runs_is_refused_with_its_line(tmp_path: Path, cron: str, problem: str) -> None:
    document = write_document(tmp_path, schedule={"timezone": "UTC", "cron": cron})
    lines = document.read_text("utf-8").splitlines()
    with pytest.raises(InputError, match=problem) as caught:
        load_document(document)
    assert (caught.value.field, caught.value.value, caught.value.file) == ("schedule.cron", cron, document)
    assert "cron:" in lines[(caught.value.line or 0) - 1]


@pytest.mark.parametrize(
    "cron",
    ["0 3 29 2 *", "0 0 31 1,2 *", "*/5 8-18/2 1,15 jan-mar mon-fri", "0 0 * 11-2 fri-mon", "0 0 * * 7"],
)
def test_every_other_one_runs_in_dagster(tmp_path: Path, cron: str) -> None:
    schedule = _schedule(write_document(tmp_path, schedule=cron))
    assert next(schedule_execution_time_iterator(0.0, schedule.cron_schedule, "UTC"))


def test_a_schedule_runs_once_a_day_over_both_changes_of_the_clock(tmp_path: Path) -> None:
    zone = ZoneInfo("Europe/Berlin")
    schedule = _schedule(write_document(tmp_path, schedule={"cron": "30 2 * * *", "timezone": zone.key}))
    start, end = (datetime.datetime(year, 1, 1, tzinfo=zone) for year in (2026, 2027))
    times = schedule_execution_time_iterator(
        start.timestamp(), schedule.cron_schedule, schedule.execution_timezone or "UTC"
    )
    runs = [*itertools.takewhile(lambda time: time < end, times)]
    days = Counter(run.astimezone(zone).date() for run in runs)
    assert set(days.values()) == {1}
    assert len(days) == 365
    others = {run.date(): run for run in runs if (run.hour, run.minute) != (2, 30)}
    # 02:30 does not exist on that day in March, and exists twice on that day in October: the second one runs.
    assert [run.isoformat() for run in others.values()] == ["2026-03-29T03:00:00+02:00"]
    (autumn,) = [run for run in runs if run.date() == datetime.date(2026, 10, 25)]
    assert autumn.isoformat() == "2026-10-25T02:30:00+01:00"


def _schedule(document: Path) -> dg.ScheduleDefinition:
    definitions = build_image_set(load_document(document), document.parent, document)
    (schedule,) = definitions.schedules or ()
    assert isinstance(schedule, dg.ScheduleDefinition)
    return schedule
