"""The sensor that continues a plan: exactly what is missing, once each, then the reports, and no more."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg
import pytest
import torch

from hierflow.assets.continuation import NextStep, next_step
from hierflow.assets.names import ACCELERATOR_TAG, INVOCATION_TAG, PROCESS_TAG, SET_TAG
from hierflow.models.families.kandinsky22 import Kandinsky22
from hierflow.store.storage import Storage
from hierflow_tests.assets.dagster_sets import DEAD_PROCESS, NAMES, Served
from hierflow_tests.image_sets import FOUR, command, rows_of, run, write_document
from hierflow_tests.tiny_models import tiny_learned

__all__ = ["tiny_learned"]

REPORTS = [[NAMES.finish_job], [NAMES.quality_job]]


@pytest.fixture
def served(tiny_learned: Path, tmp_path: Path) -> Served:
    """Four prompts in two partitions."""
    return Served(_written(tmp_path, tiny_learned))


@pytest.fixture
def served_on_disk(tiny_learned: Path, tmp_path: Path) -> Iterator[Served]:
    """The same on an instance with files under it."""
    (tmp_path / "home").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "home")) as instance:
        yield Served(_written(tmp_path, tiny_learned), instance)


def _written(folder: Path, model: Path, **changes: object) -> Path:
    diffusion = {"model": str(model), "steps": 4, "prior_steps": 2}
    return write_document(folder, diffusion=diffusion, sharing={"tau": 0.3}, **changes)


def step_of(served: Served) -> NextStep:
    return next_step(served.instance, served.served)


def tick(served: Served) -> list[str]:
    """One evaluation of the sensor and the runs it asks for, executed here; returns what was launched."""
    repository = served.definitions.get_repository_def()
    with dg.build_sensor_context(instance=served.instance, repository_def=repository) as context:
        result = repository.get_sensor_def(NAMES.sensor)(context)
    launched = []
    for request in getattr(result, "run_requests", None) or ():  # a tick with nothing to do is a SkipReason
        assert request.job_name is not None
        served.execute(request.job_name, request.partition_key, **request.tags)
        launched.append(request.partition_key or request.job_name)
    return launched


def ticks(served: Served) -> list[list[str]]:
    """Evaluations until the sensor is at rest."""
    found: list[list[str]] = []
    while launched := tick(served):
        found.append(launched)
        assert len(found) < 20
    return found


def test_without_a_plan_it_says_which_job_makes_one(served: Served) -> None:
    assert tick(served) == []
    assert step_of(served).reason == "there is no plan yet: launch the job trial"


def test_a_lost_plan_launches_nothing_and_the_tick_says_what_does_go_on(served: Served) -> None:
    served.execute(NAMES.plan_job)
    pointer = served.document.parent / "out/trial/current.json"
    pointer.write_bytes(b"")
    repository = served.definitions.get_repository_def()
    for name in (NAMES.sensor, NAMES.prompts_sensor):
        with dg.build_sensor_context(instance=served.instance, repository_def=repository) as context:
            skipped = repository.get_sensor_def(name)(context)
        assert isinstance(skipped, dg.SkipReason)
        assert "the current plan is lost" in str(skipped.skip_message)
        assert "run the set again" in str(skipped.skip_message)


def test_after_the_plan_come_the_partitions_one_by_one_and_then_the_reports(served_on_disk: Served) -> None:
    assert served_on_disk.execute(NAMES.plan_job).success
    assert ticks(served_on_disk) == [[key] for key in served_on_disk.partitions] + REPORTS
    assert step_of(served_on_disk).reason.startswith("everything is made: 2 partitions")
    audit = served_on_disk.metadata("compute_audit")
    assert audit["evaluations_executed"] == audit["evaluations_planned"]


def test_a_second_request_with_nothing_changed_launches_no_partition(served: Served) -> None:
    served.execute(NAMES.plan_job)
    ticks(served)
    served.execute(NAMES.plan_job)
    assert ticks(served) == [[NAMES.finish_job]]
    assert served.metadata("compute_audit")["evaluations_executed"] == 0


def test_an_edit_launches_what_it_has_changed(served: Served, tiny_learned: Path) -> None:
    served.execute(NAMES.plan_job)
    ticks(served)
    before = served.versions("denoising_plan")
    _written(served.document.parent, tiny_learned, prompts={"text": [*FOUR[:3], "a green chair"]})
    served.execute(NAMES.plan_job)
    after = served.versions("denoising_plan")
    plan = served.served.stage("r", "i").store.plans.current()
    assert plan is not None
    changed = [key for key in plan.document.keys if after[key] != before.get(key)]
    assert changed
    assert any(after[key] == before.get(key) for key in after)
    assert ticks(served) == [[key] for key in changed] + REPORTS


def test_as_many_partitions_at_once_as_the_document_allows(served: Served, tiny_learned: Path) -> None:
    _written(served.document.parent, tiny_learned, runs={"max_concurrent": 2})
    served.execute(NAMES.plan_job)
    assert ticks(served) == [served.partitions, *REPORTS]


def test_a_partition_that_keeps_failing_is_tried_twice_and_the_rest_goes_on(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.execute(NAMES.plan_job)
    first, second = served.partitions
    real = Kandinsky22.decode
    broken = True

    def decode(self: Kandinsky22, latents: torch.Tensor) -> object:
        if broken:
            raise RuntimeError("the card has fallen off the bus")
        return real(self, latents)

    monkeypatch.setattr(Kandinsky22, "decode", decode)
    assert tick(served) == [first]
    assert tick(served) == [first]
    broken = False
    assert ticks(served) == [[second], *REPORTS]
    assert served.metadata("image_set")["complete"] is False
    waiting = step_of(served).reason
    assert waiting == f"partitions not made: 1 of 2 (1 failed), such as {first}; launch the job trial"

    served.execute(NAMES.plan_job)  # the next night's request tries again
    assert ticks(served) == [[first], *REPORTS]
    assert served.metadata("image_set")["complete"] is True


def test_a_cancelled_partition_is_not_launched_again(served: Served) -> None:
    served.execute(NAMES.plan_job)
    step = step_of(served)
    (first, attempt), *_ = step.partitions
    assert attempt == 1
    _recorded(served, first, step, dg.DagsterRunStatus.CANCELED)
    assert [key for key, _ in step_of(served).partitions] == [key for key in served.partitions if key != first]


def test_a_request_that_was_deleted_is_told_from_partitions_that_failed(served: Served) -> None:
    request = served.execute(NAMES.plan_job).run_id
    step, (first, second) = step_of(served), served.partitions
    served.instance.delete_run(request)
    assert tick(served) == []  # no reports on an empty set, either
    untouched = step_of(served).reason
    assert f"2 of 2 (2 not run here), such as {first}; this Dagster instance has no run" in untouched
    assert request[:8] in untouched
    assert untouched.endswith("launch the job trial")

    _recorded(served, second, step, dg.DagsterRunStatus.FAILURE)
    assert tick(served) == []
    assert (
        f"2 of 2 (1 failed, 1 not run here), such as {first}; their request {request[:8]}" in step_of(served).reason
    )

    served.execute(NAMES.plan_job)
    assert ticks(served) == [[first], [second], *REPORTS]


def test_a_new_home_over_a_half_made_store_launches_nothing_until_the_job_is(served: Served) -> None:
    served.execute(NAMES.plan_job)
    first, second = served.partitions
    assert tick(served) == [first]
    moved = Served(served.document)
    assert tick(moved) == []
    assert step_of(moved).reason.startswith(f"partitions not made: 1 of 2 (1 not run here), such as {second}; ")
    assert step_of(moved).reason.endswith("launch the job trial")
    moved.execute(NAMES.plan_job)
    assert ticks(moved) == [[second], *REPORTS]


def test_reports_that_were_cancelled_are_not_said_to_have_failed(served: Served) -> None:
    request = served.execute(NAMES.plan_job).run_id
    for key in served.partitions:
        assert tick(served) == [key]
    for _ in range(2):
        tags = {SET_TAG: "trial", INVOCATION_TAG: request}
        served.instance.add_run(dg.DagsterRun(NAMES.finish_job, status=dg.DagsterRunStatus.CANCELED, tags=tags))
    assert step_of(served) == NextStep("the job trial_finish ended 2 times without success; launch the job trial")


def test_the_reports_of_a_set_without_any_image_say_so(served: Served) -> None:
    served.execute(NAMES.plan_job)
    for job in (NAMES.finish_job, NAMES.quality_job):
        assert served.execute(job).success
    assert served.metadata("image_set")["images"] == 0
    assert served.metadata("image_set")["missing"] == 4
    assert served.metadata("compute_audit")["evaluations_executed"] == 0
    assert served.metadata("quality_report")["pairs"] == 0
    folder = served.document.parent / "out/trial"
    for page in ("gallery.html", "history.html", "quality.html"):
        assert "There are no images yet." in (folder / page).read_text("utf-8")


def test_nothing_is_launched_beside_a_partition_at_work(served: Served) -> None:
    served.execute(NAMES.plan_job)
    step = step_of(served)
    (first, _), *_ = step.partitions
    _recorded(served, first, step, dg.DagsterRunStatus.STARTED)
    assert step_of(served).partitions == ()


def test_a_run_of_another_set_on_the_same_device_is_waited_for(served: Served) -> None:
    served.execute(NAMES.plan_job)
    tags = {SET_TAG: "another", ACCELERATOR_TAG: "auto"}
    run = dg.DagsterRun("another_subtrees", status=dg.DagsterRunStatus.STARTED, tags=tags)
    served.instance.add_run(run)
    assert step_of(served).partitions == ()
    served.instance.report_run_failed(run)
    assert len(step_of(served).partitions) == 1


def test_the_quality_report_waits_for_the_device_as_partitions_do(served: Served) -> None:
    served.execute(NAMES.plan_job)
    for _ in [*served.partitions, NAMES.finish_job]:
        assert tick(served)
    tags = {SET_TAG: "another", ACCELERATOR_TAG: "auto"}
    run = dg.DagsterRun("another_subtrees", status=dg.DagsterRunStatus.STARTED, tags=tags)
    served.instance.add_run(run)
    step = step_of(served)
    assert step.assess is None
    assert step.reason.startswith("the quality report waits; as many runs as runs.max_concurrent allows")
    served.instance.report_run_failed(run)
    assert step_of(served).assess == 1


def test_it_waits_while_the_plan_is_being_made(served: Served) -> None:
    served.execute(NAMES.plan_job)
    run = dg.DagsterRun(NAMES.plan_job, status=dg.DagsterRunStatus.STARTED, tags={SET_TAG: "trial"})
    served.instance.add_run(run)
    assert step_of(served).reason == f"run {run.run_id[:8]} (trial) is at work"


def test_a_run_launched_by_hand_from_the_asset_page_is_seen(served: Served) -> None:
    served.execute(NAMES.plan_job)
    first = served.partitions[0]
    run = dg.DagsterRun(
        "__ASSET_JOB",
        status=dg.DagsterRunStatus.STARTED,
        tags={"dagster/partition": first},
        asset_selection={served.served.key("images")},
    )
    served.instance.add_run(run)
    assert first not in [key for key, _ in step_of(served).partitions]


def test_a_run_whose_process_has_died_is_not_waited_for(served: Served) -> None:
    served.execute(NAMES.plan_job)
    dead = dg.DagsterRun(
        NAMES.plan_job,
        status=dg.DagsterRunStatus.STARTED,
        tags={SET_TAG: "trial", PROCESS_TAG: DEAD_PROCESS},
    )
    served.instance.add_run(dead)
    assert len(step_of(served).partitions) == 1
    found = served.instance.get_run_by_id(dead.run_id)
    assert found is not None
    assert found.status == dg.DagsterRunStatus.FAILURE


def test_what_the_command_line_has_made_is_adopted_and_left_alone(served: Served) -> None:
    assert run(served.document).code == 0
    assert served.partitions == []
    assert tick(served) == []
    assert len(served.partitions) == 2
    for asset in ("subtree_latents", "images", "quality_scores"):
        assert set(served.versions(asset)) == set(served.partitions)
    assert served.metadata("images")["adopted"] is True


def test_a_request_for_some_prompts_makes_only_these_and_the_next_one_the_rest(served: Served) -> None:
    assert served.execute(NAMES.plan_job, config={"limit": 1}).success
    (first,), *rest = ticks(served)
    assert first in served.partitions
    assert rest == [[NAMES.finish_job]]  # no quality report of a part
    found = served.metadata("image_set")
    assert (found["images"], found["missing"], found["complete"]) == (1, 3, False)
    assert step_of(served).reason.startswith("the prompts that were asked for are made: 1; launch trial")

    ids = [row["prompt_id"] for row in rows_of(served.document)]
    assert served.execute(NAMES.plan_job, config={"only": ids[:1]}).success
    ticks(served)
    made = [row["status"] for row in rows_of(served.document)]
    assert made[0] == "current"
    assert made.count("current") <= 2
    assert not served.execute(NAMES.plan_job, config={"only": ["nobody"]}).success
    assert step_of(served).reason.startswith("the prompts that were asked for are made: 1; launch trial")

    assert served.execute(NAMES.plan_job).success
    assert ticks(served)[-2:] == REPORTS
    assert served.metadata("image_set")["complete"] is True
    audit = json.loads((served.document.parent / "out/trial/audit.json").read_text("utf-8"))
    books = audit["all_runs_of_this_plan"]["books"]
    assert (books["balanced"], books["executed"]) == (True, books["planned"])


def test_what_a_command_made_of_a_part_is_left_alone(served: Served) -> None:
    assert command("run", served.document, "--limit", 1).code == 0
    assert tick(served) == []
    assert step_of(served).reason.startswith("the prompts that were asked for are made: 1; launch trial")


def test_a_partition_launched_by_hand_is_made_whole(served: Served) -> None:
    assert served.execute(NAMES.plan_job, config={"limit": 1}).success
    for key in served.partitions:
        assert served.execute(NAMES.subtree_job, key).success
    assert ticks(served) == REPORTS
    assert step_of(served).reason.startswith("everything is made: 2 partitions")


def test_at_rest_a_tick_reads_every_record_once(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    served.execute(NAMES.plan_job)
    ticks(served)
    taken: list[str] = []
    one, many = Storage.read, Storage.read_all

    def read(self: Storage, path: str) -> bytes:
        taken.append(path)
        return one(self, path)

    def read_all(self: Storage, paths: Sequence[str]) -> dict[str, bytes]:
        taken.extend(paths)
        return many(self, paths)

    monkeypatch.setattr(Storage, "read", read)
    monkeypatch.setattr(Storage, "read_all", read_all)
    assert step_of(served).reason.startswith("everything is made")
    records = [path for path in taken if path.startswith("records/")]
    assert len(records) == len(set(records)) == len(served.partitions)


def test_a_lost_image_is_made_again_and_the_reports_follow(served: Served) -> None:
    served.execute(NAMES.plan_job)
    ticks(served)
    store = served.served.stage("r", "i").store
    store.files.delete(store.files.list("images")[0])
    (lost,), *rest = ticks(served)
    assert lost in served.partitions
    assert rest == REPORTS
    assert served.metadata("image_set")["complete"] is True


def test_a_partition_made_by_hand_brings_the_reports_up_to_date(served: Served) -> None:
    served.execute(NAMES.plan_job)
    ticks(served)
    store = served.served.stage("r", "i").store
    store.files.delete(store.files.list("images")[0])
    for key in served.partitions:
        assert served.execute(NAMES.subtree_job, key).success
    assert ticks(served) == REPORTS


def _recorded(served: Served, key: str, step: NextStep, status: dg.DagsterRunStatus) -> None:
    tags = {
        SET_TAG: "trial",
        ACCELERATOR_TAG: "auto",
        "dagster/partition": key,
        "hierflow/plan": step.plan,
        "hierflow/invocation": step.request,
    }
    served.instance.add_run(dg.DagsterRun(NAMES.subtree_job, status=status, tags=tags))
