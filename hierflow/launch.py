"""A set's jobs in one process, without a daemon: plan, exactly what is to do, then image set and audit."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg

from hierflow.assets.adoption import adopt_stored
from hierflow.assets.build import definitions_of
from hierflow.assets.liveness import active_partitions, process_tag
from hierflow.assets.names import INVOCATION_TAG, PLAN_TAG, PROCESS_TAG, SET_TAG
from hierflow.assets.run_stage import selection_tags, told_through
from hierflow.assets.served_set import ServedSet
from hierflow.errors import InputError
from hierflow.plan.compiled import CompiledPlan
from hierflow.plan.selection import ALL_PROMPTS, PromptSelection, Selected
from hierflow.stages.context import Stage
from hierflow.stages.embedding.left_out import told
from hierflow.stages.making.todo import todo
from hierflow.stages.quality.summary import missed_floor
from hierflow.stages.reports.assembly import is_assessed
from hierflow.store import SetStore

_SETTINGS = """\
telemetry:
  enabled: false
concurrency:
  runs:
    # One run a device at once, of all sets together. With more GPUs raise the limit, and runs.max_concurrent with it.
    tag_concurrency_limits:
      - key: hierflow/accelerator
        value:
          applyLimitPerUniqueValue: true
        limit: 1
"""
_CHECK_FAILED = "DagsterAssetCheckFailedError"  # not among the public names
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass
class Launch:
    """What :func:`launch` did.

    Attributes:
        seconds: wall time.
        plan: the plan that was run; None if the plan job failed.
        run, skipped, failed: partition keys; the skipped were up to date.
        left: the runs of others that partitions were left to, by partition key.
        problems: what went wrong, a sentence each.
        interrupted: whether a signal asked for an end; what had not begun by then was left alone.
        selected: the prompts that were asked for, by partition; None for all.
    """

    seconds: float = 0.0
    plan: CompiledPlan | None = None
    run: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    interrupted: bool = False
    selected: Selected | None = None

    def has_selected(self, store: SetStore) -> bool:
        """Whether some prompts were asked for and their images are all there."""
        if self.plan is None or self.selected is None:
            return False
        return not todo(store, self.plan, selected=self.selected)


def launch(stage: Stage, document: Path, rebuild: str = "", selection: PromptSelection = ALL_PROMPTS) -> Launch:
    """Execute real Dagster runs of the set's jobs, one after the other, as parts of the stage's invocation.

    A partition that fails does not keep the others, nor manifest and audit, from being made.

    Args:
        stage: the set; the runs report progress and say sentences as it does.
        document: the file that describes it.
        rebuild: as in :func:`hierflow.stages.planning.make_plan.make_plan`.
        selection: the prompts to make.

    Raises:
        InputError: the store, or Dagster's records, have no place; nothing has been run.
    """
    began = time.monotonic()
    done = Launch()
    served = ServedSet(stage.spec, document.parent, document)
    home = home_of(document)
    stage.store.claim()  # whether its folder can really be made, only making it tells
    with (
        instance_at(home) as instance,
        told_through(stage.progress, stage.say),
        stage.store.heartbeat(stage.invocation),  # also between two runs
    ):
        runner = _Runner(served, definitions_of(served), instance, stage.invocation, done)
        config = {"rebuild": rebuild, "limit": selection.limit, "only": list(selection.only)}
        tree = {served.names.op("embedding_tree"): {"config": config}}
        planned = runner.execute(served.names.plan_job, {}, ops=tree)
        if served.names.op("embedding_tree") in planned.steps and not done.interrupted:
            done.plan = stage.store.plans.load(planned.tags[PLAN_TAG])
            _run_what_is_missing(runner, stage, done.plan, selection)
    done.seconds = time.monotonic() - began
    return done


def _run_what_is_missing(runner: _Runner, stage: Stage, compiled: CompiledPlan, selection: PromptSelection) -> None:
    """Run the partitions of the plan just adopted, whatever another run makes current meanwhile, and the reports.

    That the trunk failed does not keep partitions from being tried: each goes as far back as it needs to.
    """
    done, instance, served = runner.done, runner.instance, runner.served
    prompts = stage.store.prompts.load(compiled.document.prompts)
    done.selected = selection.resolve(compiled, prompts)
    left_out = compiled.document.left_out
    if done.selected is not None:
        stage.say(f"prompts asked for: {sum(map(len, done.selected.values()))} of {len(prompts)}")
        left_out = {prompt_id: why for prompt_id, why in left_out.items() if prompt_id in selection.only}
    done.problems += told(left_out)
    active = active_partitions(instance, served)
    missing = todo(stage.store, compiled, selected=done.selected)
    done.left = {key: active[key] for key in missing if key in active}
    for key, run in done.left.items():
        why = "which is at work on it (if it is not, mark it failed in Dagster)"
        stage.say(f"partition {key} is left to run {run}, {why}")
    keys = [key for key in missing if key not in active]
    done.skipped = [key for key in compiled.document.keys if key not in missing]
    tags = {PLAN_TAG: compiled.document.id}
    of_partition = tags | selection_tags(selection)
    for place, key in enumerate(keys, start=1):
        if rival := active_partitions(instance, served).get(key):
            stage.say(f"partition {key} is left to run {rival}, which began it meanwhile")
            done.left[key] = rival
            continue
        stage.say(f"partition {place} of {len(keys)}: {key}")
        succeeded = runner.execute(served.names.subtree_job, of_partition, key)
        (done.run if succeeded.steps == {served.names.subtree_op} else done.failed).append(key)
        if done.interrupted:
            return
    adopt_stored(instance, served, compiled, stage.store.records_of(compiled))
    runner.execute(served.names.finish_job, tags)
    if done.selected is not None and todo(stage.store, compiled):
        stage.say("quality is reported once the whole set is made")
        return
    if not (done.interrupted or is_assessed(stage.store, compiled, served.spec.scoring)):
        runner.execute(served.names.quality_job, tags)
    if is_assessed(stage.store, compiled, served.spec.scoring) and (missed := missed_floor(stage)):
        done.problems.append(f"{served.names.quality_job}: {missed}")


def home_of(document: Path) -> Path:
    """Where Dagster keeps its records: $DAGSTER_HOME, or `.hierflow/` beside the document; nothing is made yet."""
    given = os.environ.get("DAGSTER_HOME")
    home = Path(given).expanduser() if given else document.parent / ".hierflow"
    if given and not (home.is_absolute() and home.is_dir()):
        raise InputError(
            "is not the absolute path of a folder",
            file="$DAGSTER_HOME",
            value=given,
            remedy="make that folder, or unset the variable",
        )
    return home


@contextmanager
def instance_at(home: Path) -> Iterator[dg.DagsterInstance]:
    """Dagster's instance at `home`; the environment is left as it was."""
    given = os.environ.get("DAGSTER_HOME")
    if not given:
        _furnish(home)
    os.environ["DAGSTER_HOME"] = str(home)
    try:
        with _one_at_a_time(home):  # of two that find no database both would make its tables
            instance = dg.DagsterInstance.get()
        with instance:
            yield instance
    finally:
        if given is None:
            del os.environ["DAGSTER_HOME"]
        else:
            os.environ["DAGSTER_HOME"] = given


def _one_at_a_time(home: Path) -> AbstractContextManager[object]:
    """Held while Dagster's instance is opened. A home that nobody writes to holds no database to be made."""
    from filelock import FileLock

    return FileLock(home / ".hierflow.lock") if os.access(home, os.W_OK) else nullcontext()


def _furnish(home: Path) -> None:
    settings = home / "dagster.yaml"
    try:
        home.mkdir(exist_ok=True)
        if not settings.exists():
            settings.write_text(_SETTINGS, "utf-8")
    except OSError as error:
        raise InputError(
            f"cannot be made ({error.strerror}), and Dagster needs a place for its records",
            file=home,
            remedy="set $DAGSTER_HOME to a folder that can be written to",
        ) from error


class _Executed(NamedTuple):
    """A run that has ended: the steps that succeeded, and its tags, those that it gave itself included."""

    steps: set[str]
    tags: dict[str, str]


@dataclass
class _Runner:
    """Executes the set's jobs in this process, with the tags all runs of one command carry."""

    served: ServedSet
    definitions: dg.Definitions
    instance: dg.DagsterInstance
    invocation: str
    done: Launch

    def execute(
        self, job: str, tags: Mapping[str, str], partition: str | None = None, ops: Mapping[str, Any] | None = None
    ) -> _Executed:
        """Run a job. What failed is noted in the launch.

        A floor that is missed is not: the report in the store says so, also to commands that find it made.
        """
        result = self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            partition_key=partition,
            raise_on_error=False,
            run_config={**_QUIET, "ops": dict(ops or {})},
            tags={
                SET_TAG: self.served.spec.name,
                INVOCATION_TAG: self.invocation,
                PROCESS_TAG: process_tag(),
                **tags,
            },
        )
        if not (result.success or _missed_a_floor(result)):
            self.done.problems.append(_why(result, partition or job))
            self.done.interrupted = self.done.interrupted or _was_interrupted(result)
        run = self.instance.get_run_by_id(result.run_id)
        steps = {str(event.step_key) for event in result.all_events if event.is_step_success}
        return _Executed(steps, dict(run.tags) if run else {})


def _was_interrupted(result: Any) -> bool:
    """Whether a run ended because of a signal (Ctrl-C, or SIGTERM): Dagster turns it into a step's failure."""
    return dg.DagsterExecutionInterruptedError.__name__ in _failures(result)


def _missed_a_floor(result: Any) -> bool:
    """Whether nothing in a run failed but a check that holds back what is downstream."""
    return _failures(result) == {_CHECK_FAILED}


def _failures(result: Any) -> set[str]:
    """The classes of the errors that steps of a run failed with, by name."""
    errors = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    return {str(error.cls_name) for error in errors if error}


def _why(result: Any, what: str) -> str:
    """The innermost reason a run failed, in one line."""
    if _was_interrupted(result):
        return f"{what}: interrupted; what it finished is kept, and the next run goes on from there"
    for event in result.all_events:
        if event.is_step_failure and event.step_failure_data.error:
            error = event.step_failure_data.error
            while error.cause:
                error = error.cause
            reason = event.step_failure_data.user_failure_data
            text = (reason.description if reason and reason.description else None) or error.message
            return f"{what}: {' '.join(str(text).split())}"
    return f"{what}: the run failed before its first step"
