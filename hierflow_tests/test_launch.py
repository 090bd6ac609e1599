"""Several partitions in one command: a signal ends all of it, and another command's work is left to it."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import torch

from hierflow import launch as launching
from hierflow.assets.liveness import process_tag
from hierflow.assets.names import PROCESS_TAG, SET_TAG, SetNames
from hierflow.assets.served_set import ServedSet
from hierflow.document import load_document
from hierflow.models.families.kandinsky22 import Kandinsky22
from hierflow.plan.compiled import CompiledPlan
from hierflow.plan.selection import PromptSelection
from hierflow.stages.context import Stage
from hierflow.stages.planning import make_plan as planning
from hierflow.store import SetStore
from hierflow_tests.image_sets import FOUR, command, launched, write_document
from hierflow_tests.tiny_models import tiny_learned

__all__ = ["tiny_learned"]


@pytest.fixture
def document(tiny_learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four prompts in four partitions, without a trunk."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return write_document(
        tmp_path,
        diffusion={"model": str(tiny_learned), "steps": 4, "prior_steps": 2},
        sharing={"tau": 0.0},
        partitions={"max_prompts": 1},
    )


def test_the_partitions_are_those_of_the_plan_adopted_though_another_run_moves_the_pointer(
    document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = launched(document).plan
    assert first is not None
    real, adopted = planning.adopt, []

    def adopt(stage: Stage, compiled: CompiledPlan, selection: PromptSelection) -> bool:
        adopted.append(compiled.document.id)
        is_new = real(stage, compiled, selection)
        stage.store.plans.point_to(first.document.id, "another request")
        return is_new

    monkeypatch.setattr(planning, "adopt", adopt)
    spec = load_document(document)
    edited = spec.model_copy(update={"prompts": spec.prompts.model_copy(update={"text": [*FOUR, "a green hat"]})})
    done = launched(document, edited)
    assert done.plan is not None
    assert [done.plan.document.id] == adopted != [first.document.id]
    assert len(done.run) == 1
    assert done.run[0] not in first.document.keys


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_command_and_not_only_the_partition_at_work(
    document: Path, monkeypatch: pytest.MonkeyPatch, ending: signal.Signals
) -> None:
    real, seen = Kandinsky22.predict, 0

    def predict(self: Kandinsky22, latents: torch.Tensor, index: int, conditioning: Any) -> torch.Tensor:
        nonlocal seen
        seen += 1
        if seen == 6:  # in the second partition
            os.kill(os.getpid(), ending)
        return real(self, latents, index, conditioning)

    monkeypatch.setattr(Kandinsky22, "predict", predict)
    done = launched(document)
    assert done.interrupted
    assert (len(done.run), len(done.failed)) == (1, 1)
    assert seen <= 8
    (problem,) = done.problems
    assert problem.startswith(f"{done.failed[0]}: interrupted; what it finished is kept")

    resumed = launched(document)
    assert not resumed.interrupted
    assert (len(resumed.run), len(resumed.skipped), resumed.problems) == (3, 1, [])


def test_a_partition_that_another_command_begins_meanwhile_is_left_to_it(
    document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, taken = launching.active_partitions, []

    def active(instance: dg.DagsterInstance, served: ServedSet) -> dict[str, str]:
        name = served.spec.name
        plan = SetStore(str(document.parent / "out"), name, document).plans.current()
        assert plan is not None
        if not taken and instance.get_runs(dg.RunsFilter(job_name=SetNames(name).subtree_job)):
            # Once this command is past its first partition, somebody else begins the last.
            taken.append(plan.document.keys[-1])
            tags = {SET_TAG: name, PROCESS_TAG: process_tag(), "dagster/partition": taken[0]}
            run = dg.DagsterRun(SetNames(name).subtree_job, status=dg.DagsterRunStatus.STARTED, tags=tags)
            instance.add_run(run)
        return real(instance, served)

    monkeypatch.setattr(launching, "active_partitions", active)
    said: list[str] = []
    done = launched(document, say=said.append)
    assert (len(done.run), done.skipped, list(done.left), done.problems) == (3, [], taken, [])
    assert any(taken[0] in sentence and "began it meanwhile" in sentence for sentence in said)


def test_what_is_left_to_another_run_is_told_at_the_end(document: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def active(instance: dg.DagsterInstance, served: ServedSet) -> dict[str, str]:
        plan = served.stage("r", "i").store.plans.current()
        assert plan is not None
        return {plan.document.keys[-1]: "1a2b"}

    monkeypatch.setattr(launching, "active_partitions", active)
    ended = command("run", document)
    assert ended.code == 1
    assert "3 run, 0 up to date, 0 failed, 1 left to another run" in ended.stdout
    told = "left: run 1a2b makes 1 images; call again when it has ended"
    assert ended.stdout.splitlines()[-1] == told

    again = command("run", document, "--json")
    assert again.code == 1
    left = {"1a2b": {"partitions": 1, "images": 1}}
    assert again.json["partitions"] == {"total": 4, "run": 0, "skipped": 3, "failed": 0, "left": left}
    assert again.stderr.splitlines()[-1] == told

    monkeypatch.undo()
    made = command("run", document)
    assert made.code == 0
    assert "1 run, 3 up to date, 0 failed\n" in made.stdout
    monkeypatch.setattr(launching, "active_partitions", active)  # at work on what is made: nothing is left to it
    assert command("run", document, "--json").json["partitions"]["left"] == {}
