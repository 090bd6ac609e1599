"""A Dagster run's view of an image set."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict
from typing import TYPE_CHECKING, NamedTuple

import dagster as dg

from hierflow.assets.names import (
    DOCUMENT_TAG,
    DOCUMENT_TIME_TAG,
    INVOCATION_TAG,
    PLAN_TAG,
    PROMPTS_TAG,
    SELECTION_TAG,
)
from hierflow.assets.served_set import ServedSet
from hierflow.errors import HierflowError, RunError, StorageError
from hierflow.progress import Lines, OpenProgress, Progress

if TYPE_CHECKING:
    from hierflow.plan.compiled import CompiledPlan
    from hierflow.plan.selection import PromptSelection, Selected
    from hierflow.prompts import PromptSet
    from hierflow.stages.context import Stage


class _Terminal(NamedTuple):
    """Where a command shows progress, and says sentences."""

    progress: OpenProgress
    say: Callable[[str], object]


_terminal: ContextVar[_Terminal | None] = ContextVar("hierflow_terminal", default=None)


@contextmanager
def told_through(report: OpenProgress, say: Callable[[str], object]) -> Iterator[None]:
    """Runs in this process report progress through `report`, not in Dagster's log; sentences go to `say` as well."""
    token = _terminal.set(_Terminal(report, say))
    try:
        yield
    finally:
        _terminal.reset(token)


@contextmanager
def run_stage(context: dg.AssetExecutionContext, served: ServedSet) -> Iterator[Stage]:
    """The stage context of a run. While it is open, the run's heartbeat is written to the set's store.

    Raises:
        Failure: input or plan is wrong: one sentence, no retry. Or the store does not answer: one sentence, and the
            set's retry policy applies, as it does to every other error.
    """
    try:
        stage = _stage(context, served)
        with stage.store.heartbeat(context.run_id):
            yield stage
    except StorageError as error:
        raise dg.Failure(str(error)) from error
    except HierflowError as error:
        raise dg.Failure(str(error), allow_retries=False) from error


def _stage(context: dg.AssetExecutionContext, served: ServedSet) -> Stage:
    from hierflow.stages.context import Stage

    def lines(label: str, total: int) -> Progress:
        return Lines(label, total, context.log.info)

    terminal = _terminal.get()

    def say(sentence: str) -> None:
        context.log.info(sentence)
        if terminal:
            terminal.say(sentence)

    record = context.instance.get_run_record_by_id(context.run_id)
    return Stage(
        spec=served.spec,
        base=served.base,
        document=served.document,
        run=context.run_id,
        invocation=context.run.tags.get(INVOCATION_TAG, context.run.root_run_id or context.run_id),
        progress=terminal.progress if terminal else lines,
        say=say,
        **({"began": record.create_timestamp.timestamp()} if record else {}),
    )


def check_document(context: dg.AssetExecutionContext, served: ServedSet) -> None:
    """Refuse to plan an older version of the document than the run was requested for, or than the file holds now.

    Code servers and queue workers load a document once. A process that a run launcher starts loads it anew: its
    version may be newer than the one of the code location that requested the run, and is planned. A `hierflow run`
    has just loaded the document, and may outlast edits.

    Raises:
        RunError: this process has an older version, or one that cannot be compared.
        InputError: the file is no longer valid.
    """
    from hierflow.document import document_digests

    document, own = served.document, served.spec.document_digest
    job = served.names.plan_job
    # Once a run: an edit while a long run encodes its prompts does not waste that run.
    is_first = PROMPTS_TAG not in _tags(context) and _terminal.get() is None
    if is_first and document and document.is_file() and own not in document_digests(document):
        raise RunError(
            f"this process loaded an older version of the document {document} than the file holds now; reload the "
            f"code location, restart long-running workers, and launch the job {job} again"
        )
    requested, written = (context.run.tags.get(tag) for tag in (DOCUMENT_TAG, DOCUMENT_TIME_TAG))
    if requested is None or requested == own:
        return
    loaded = served.document_tags.get(DOCUMENT_TIME_TAG)
    if not (written and loaded and float(loaded) > float(written)):
        raise RunError(
            f"this run was requested for version {requested[:8]} of the document {document or served.spec.name}, and "
            f"this process loaded version {own[:8]}; reload the code location, restart long-running workers, and "
            f"launch the job {job} again"
        )
    context.log.info(f"the document was edited after the code location had loaded it; this run plans {own[:8]}")


def keep_prompts(context: dg.AssetExecutionContext, prompts: PromptSet) -> None:
    """Let the run's later steps work on these prompts, whatever another run makes current meanwhile."""
    context.instance.add_run_tags(context.run_id, {PROMPTS_TAG: prompts.content_hash})


def prompts_of(context: dg.AssetExecutionContext, stage: Stage) -> PromptSet:
    """The prompts this run works on: those it has expanded itself, or else the current ones."""
    kept = _tags(context).get(PROMPTS_TAG)
    return stage.store.prompts.load(kept) if kept else stage.store.prompts.current()


def keep_plan(context: dg.AssetExecutionContext, compiled: CompiledPlan, selection: PromptSelection) -> None:
    """Let the run's later steps work on this plan and these prompts, whatever another run adopts meanwhile."""
    context.instance.add_run_tags(context.run_id, {PLAN_TAG: compiled.document.id, **selection_tags(selection)})


def selection_tags(selection: PromptSelection) -> dict[str, str]:
    """The tags of a run that makes the prompts of `selection`; none if these are all."""
    return {} if selection.is_all else {SELECTION_TAG: json.dumps(asdict(selection), ensure_ascii=False)}


def selected_prompts(
    context: dg.AssetExecutionContext, compiled: CompiledPlan, prompts: PromptSet
) -> Selected | None:
    """The prompts that this run makes, by partition; None for all."""
    from hierflow.plan.selection import PromptSelection

    tag = _tags(context).get(SELECTION_TAG)
    return PromptSelection.from_json(json.loads(tag)).resolve(compiled, prompts) if tag else None


def plan_of(context: dg.AssetExecutionContext, stage: Stage) -> CompiledPlan:
    """The plan this run works on: the one it was launched with or has made, or else the current one.

    Raises:
        Failure: there is none yet.
        RunError: it is not in the store.
    """
    wanted = _tags(context).get(PLAN_TAG)
    try:
        compiled = stage.store.plans.load(wanted) if wanted else stage.store.plans.current()
    except FileNotFoundError as error:
        raise RunError(
            f"the plan {wanted} that this run was requested for is not in {stage.store.files.url()}; launch the job "
            f"{stage.spec.name} again (after an edit of storage.path or name, reload the code location first)"
        ) from error
    if compiled is None:
        raise no_plan(stage.spec.name)
    return compiled


def no_plan(name: str) -> dg.Failure:
    """What to raise where the set called `name` has no plan."""
    return dg.Failure(f"the image set {name} has no plan yet: launch the job {name} first", allow_retries=False)


def _tags(context: dg.AssetExecutionContext) -> dict[str, str]:
    """The run's tags as they are now; the context has those it began with."""
    run = context.instance.get_run_by_id(context.run_id)
    return dict(run.tags) if run else {}
