"""The quality report as Dagster runs it: after the other reports, on the account, and never in their way."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import dagster as dg
import pytest

from hierflow.assets.quality_asset import _checks
from hierflow.scoring.choice import Scorers
from hierflow.scoring.quality import Quality
from hierflow.scoring.quality_floor import Verdict
from hierflow.stages.quality import assessment as quality
from hierflow_tests.assets.dagster_sets import NAMES, Served
from hierflow_tests.assets.test_continuation import REPORTS, served, step_of, tick, ticks
from hierflow_tests.image_sets import write_document
from hierflow_tests.tiny_models import tiny_learned

__all__ = ["served", "tiny_learned"]


def with_baselines(served: Served, model: Path, **scoring: object) -> None:
    diffusion = {"model": str(model), "steps": 4, "prior_steps": 2}
    write_document(
        served.document.parent,
        diffusion=diffusion,
        sharing={"tau": 0.3},
        scoring={"baseline_sample": 4, **scoring},
    )


def checks_of(served: Served) -> dict[str, dg.AssetCheckEvaluation]:
    records = served.instance.event_log_storage.get_latest_asset_check_execution_by_key(
        [dg.AssetCheckKey(served.served.key("quality_report"), name) for name in ("quality_floor", "blank")]
    )
    return {
        key.name: record.event.dagster_event.event_specific_data  # type: ignore[misc, union-attr]
        for key, record in records.items()
    }


def test_what_is_measured_is_on_the_account_of_the_request(served: Served, tiny_learned: Path) -> None:
    with_baselines(served, tiny_learned, quality_floor=0.4)
    served.execute(NAMES.plan_job)
    assert ticks(served) == [[key] for key in served.partitions] + REPORTS
    assert step_of(served).reason.startswith("everything is made")
    report, audit = served.metadata("quality_report"), served.metadata("compute_audit")
    assert report["pairs"] == 4
    assert 0 <= report["clip_similarity_win_rate"] <= 1
    assert audit["evaluations_measured"] > 0
    assert audit["evaluations_executed"] == audit["evaluations_planned"] + audit["evaluations_measured"]
    found = checks_of(served)
    assert found["blank"].passed
    assert not found["quality_floor"].passed
    assert found["quality_floor"].severity == dg.AssetCheckSeverity.WARN  # undecided holds nobody back


def test_another_way_to_judge_launches_the_report_alone(served: Served, tiny_learned: Path) -> None:
    served.execute(NAMES.plan_job)
    ticks(served)
    with_baselines(served, tiny_learned)
    assert ticks(served) == [[NAMES.quality_job]]
    assert served.metadata("quality_report")["pairs"] == 4
    assert ticks(served) == []


def test_a_report_that_fails_is_tried_twice_and_keeps_nothing_from_being_made(
    served: Served, tiny_learned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_baselines(served, tiny_learned)
    served.execute(NAMES.plan_job)
    for _ in [*served.partitions, "reports"]:
        assert tick(served)
    real = Scorers.of

    def broken(self: Scorers, name: str) -> object:
        raise RuntimeError("the judge is asleep")

    monkeypatch.setattr(Scorers, "of", broken)
    assert tick(served) == [NAMES.quality_job]
    assert tick(served) == [NAMES.quality_job]
    assert tick(served) == []
    assert step_of(served).reason == "the job trial_quality ended 2 times without success; launch the job trial"
    assert served.metadata("image_set")["complete"] is True
    monkeypatch.setattr(Scorers, "of", real)
    served.execute(NAMES.plan_job)
    assert ticks(served) == REPORTS
    # Its images had been made, so the second request measured nothing.
    assert "evaluations_measured" not in served.metadata("compute_audit") or (
        served.metadata("compute_audit")["evaluations_measured"] == 0
    )


@pytest.mark.parametrize(
    ("verdict", "passed", "severity"),
    [
        (None, True, dg.AssetCheckSeverity.WARN),
        (Verdict("passed", "so it is"), True, dg.AssetCheckSeverity.WARN),
        (Verdict("undecided", "who knows", 60), False, dg.AssetCheckSeverity.WARN),
        (Verdict("blocked", "too bad"), False, dg.AssetCheckSeverity.ERROR),
    ],
)
def test_only_a_floor_that_is_missed_for_certain_is_an_error(
    verdict: Verdict | None, passed: bool, severity: dg.AssetCheckSeverity
) -> None:
    floor, near, blank = _checks(Quality((), (), verdict, {}, (), 0, ("x/1",), "page"))
    assert (floor.passed, floor.severity) == (passed, severity)
    assert (near.passed, blank.passed) == (True, False)


def test_what_is_downstream_waits_for_the_floor_if_its_condition_says_so(
    served: Served, tiny_learned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_baselines(served, tiny_learned, quality_floor=0.4)
    monkeypatch.setattr(quality, "measure", lambda *of: [])
    report = served.served.key("quality_report")
    eager = dg.AutomationCondition.eager()
    held = eager & dg.AutomationCondition.all_deps_blocking_checks_passed()

    @dg.asset(deps=[report], automation_condition=eager)
    def hasty() -> None: ...

    @dg.asset(deps=[report], automation_condition=held)
    def publish() -> None: ...

    definitions = dg.Definitions.merge(served.definitions, dg.Definitions(assets=[hasty, publish]))
    served.execute(NAMES.plan_job)
    for _ in [*served.partitions, NAMES.finish_job]:
        assert tick(served)

    def assessed(state: Literal["blocked", "passed"]) -> None:
        monkeypatch.setattr(quality, "verdict", lambda judgements, floor: Verdict(state, "so it is"))
        assert served.execute(NAMES.quality_job).success is (state == "passed")

    found = dg.evaluate_automation_conditions(definitions, served.instance)
    assessed("blocked")
    found = dg.evaluate_automation_conditions(definitions, served.instance, cursor=found.cursor)
    assert (found.get_num_requested(hasty.key), found.get_num_requested(publish.key)) == (1, 0)
    assessed("passed")
    found = dg.evaluate_automation_conditions(definitions, served.instance, cursor=found.cursor)
    assert found.get_num_requested(publish.key) == 1
