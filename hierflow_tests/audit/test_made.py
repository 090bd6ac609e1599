"""What images took: a flow for the runs that made them, a level for those that are in the set."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hierflow.audit.made import Executions, Made, pace_of
from hierflow.store.ledger import MEASURED, Entry, Work

STEPS = 6
OLD, OTHER = [Work("trunk", 1, 3), Work("old", 4, STEPS)], [Work("trunk", 1, 3), Work("other", 4, STEPS)]
NEW = [Work("trunk", 1, 3), Work("new", 4, STEPS)]


def entry(invocation: str, *work: Work, stage: str = "partition") -> Entry:
    executed = sum(run.last - run.first + 1 for run in work)
    return Entry("run", invocation, stage, work=work, evaluations=executed)


FOUNDING = [entry("first", OLD[0]), entry("first", OLD[1], OTHER[1])]
EDIT = entry("second", Work("trunk", 3, 3), NEW[1])  # replays the trunk's last step
BY = {name: (lambda e, name=name: e.invocation == name) for name in ("first", "second", "third")}


def test_runs_are_charged_all_they_executed_for_the_images_they_were_the_first_to_finish() -> None:
    executions = Executions([*FOUNDING, EDIT])
    assert executions.made_by(BY["first"], [OLD, OTHER]) == Made(2, 12, 9)
    assert executions.made_by(BY["second"], [NEW, OTHER]) == Made(1, 6, 4)
    assert executions.made_by(BY["third"], [NEW, OTHER]) == Made(0, 0, 0)


def test_an_image_that_is_made_again_counts_for_the_first_run_and_its_repeats_for_the_second() -> None:
    again = Executions([*FOUNDING, entry("second", OLD[1])])
    assert again.made_by(BY["first"], [OLD, OTHER]).images == 2
    assert again.made_by(BY["second"], [OLD, OTHER]) == Made(0, 0, 3)


def test_the_set_took_all_that_was_ever_executed_on_the_paths_of_its_images() -> None:
    executions = Executions([*FOUNDING, EDIT])
    assert executions.there([OLD, OTHER]) == Made(2, 12, 10)  # the replay went along its trunk
    assert executions.there([NEW, OTHER]) == Made(2, 12, 10)  # what edits have replaced is not in it


def test_what_only_measuring_executed_counts_once_where_images_start_from_it() -> None:
    measured = entry("first", *OLD, stage=MEASURED)
    executions = Executions([measured, measured, entry("first", OTHER[1])])
    assert executions.there([OLD, OTHER]) == Made(2, 12, 9)
    assert executions.made_by(BY["first"], [OLD, OTHER]) == Made(1, 6, 3 + 3)


def test_what_a_killed_run_had_no_time_to_note_does_not_count() -> None:
    noted = entry("first", *OLD[:-1], Work("old", 4, STEPS - 1))
    executions = Executions([noted])
    assert executions.there([OLD]) == Made(1, STEPS, STEPS - 1)
    assert executions.there([OLD]).executed == noted.evaluations
    assert executions.made_by(BY["first"], [OLD]) == Made(0, 0, STEPS - 1)


def test_only_entries_that_made_something_of_the_set_tell_its_pace() -> None:
    elsewhere = entry("third", Work("gone", 1, STEPS))
    assert Executions([*FOUNDING, EDIT, elsewhere]).behind([NEW]) == [FOUNDING[0], EDIT]


def test_a_killed_runs_evaluations_without_seconds_do_not_quicken_the_pace() -> None:
    old = replace(FOUNDING[0], status="lost")
    timed = replace(FOUNDING[1], seconds={"denoise": 1.2})
    assert pace_of([old, timed]) == pytest.approx(0.2)
    assert pace_of([old]) is None
