"""The command line: plan, run, status, audit, prune, export. Results go to stdout, everything else to stderr."""

from __future__ import annotations

import functools
import json
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hierflow.errors import HierflowError, InputError
from hierflow.positions import located
from hierflow.progress import to_stderr

if TYPE_CHECKING:
    from hierflow.plan.selection import PromptSelection

DONE, FAILED, WRONG_INPUT = 0, 1, 2


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hierflow")
def main() -> None:
    """Generate large sets of images for a fraction of the compute.

    SPEC is a YAML document of type hierflow.ImageSet.
    """


def _command(function: Callable[..., int]) -> Callable[..., None]:
    """A subcommand over one document: its exit code is what `function` returns, 2 for wrong input.

    Options that `function` has been given with `click.option` are its own.
    """

    @main.command(name=function.__name__.strip("_"), help=function.__doc__)
    @click.argument("spec", type=click.Path(path_type=Path))
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
    @functools.wraps(function)
    def command(spec: Path, as_json: bool, **options: Any) -> None:
        try:
            code = function(spec, as_json, **options)
        except InputError as error:
            code = _refused(located(error, spec), as_json, WRONG_INPUT)
        except HierflowError as error:
            code = _refused(error, as_json, FAILED)
        except Exception as error:  # a fault of hierflow's own: whoever reads stdout still gets an object
            if as_json:
                click.echo(json.dumps({"error": f"{type(error).__name__}: {error}"}))
            raise
        sys.exit(code)

    return command


def _refused(error: HierflowError, as_json: bool, code: int) -> int:
    click.echo(f"hierflow: {error}", err=True)
    if as_json:
        click.echo(json.dumps({"error": str(error)}, ensure_ascii=False))
    return code


_rebuild = click.option(
    "--rebuild",
    is_flag=False,
    flag_value="all",
    default="",
    metavar="[PARTITION]",
    help="Found the tree anew, or cluster one partition anew, instead of grafting on what has run.",
)


def _selection(command: Callable[..., int]) -> Callable[..., int]:
    """The options of a command that takes some of the prompts; they arrive as one argument `selection`."""

    @click.option("--limit", type=int, metavar="N", help="Make only N prompts, spread over the tree.")
    @click.option("--only", multiple=True, metavar="ID", help="Make only the prompt with this id; repeatable.")
    @functools.wraps(command)
    def select(*arguments: Any, limit: int | None, only: tuple[str, ...], **options: Any) -> int:
        from hierflow.plan.selection import PromptSelection

        return command(*arguments, selection=PromptSelection(limit, only), **options)

    return select


@_command
@_rebuild
@_selection
def plan(spec: Path, as_json: bool, rebuild: str, selection: PromptSelection) -> int:
    """Show what a run would do and cost, without touching the denoiser."""
    from hierflow.stages.overview.outlook import look_ahead
    from hierflow.terminal.plan import describe_plan

    stage = _stage(spec)
    outlook = look_ahead(stage, rebuild, selection)
    _print(outlook.as_json(), describe_plan(outlook), as_json)
    return DONE


@_command
@_rebuild
@_selection
def run(spec: Path, as_json: bool, rebuild: str, selection: PromptSelection) -> int:
    """Make what is missing, through real Dagster runs in this process; a second run redoes nothing."""
    from hierflow.launch import launch
    from hierflow.prompts import load_prompts
    from hierflow.stages.embedding.advice import advice
    from hierflow.stages.overview.preflight import check_memory
    from hierflow.stages.overview.summary import summarise
    from hierflow.terminal.run import describe_run, yet_to_come

    stage = _stage(spec)
    prompts = load_prompts(stage.spec.prompts, stage.base)
    selection.check(prompts, rebuild)
    check_memory(stage, prompts, rebuild)
    for warning in advice(stage, prompts):
        _say(f"warning: {warning}")
    if rebuild:
        _announce(stage, rebuild)
    done = launch(stage, spec.resolve(), rebuild, selection)
    summary = summarise(stage, done)
    for sentence in [*(f"failed: {problem}" for problem in done.problems), *yet_to_come(summary)] if as_json else ():
        _say(sentence)  # the text on stdout has them already
    _print(summary, describe_run(summary, done.problems, done.selected), as_json)
    return FAILED if done.problems or not (summary["complete"] or done.has_selected(stage.store)) else DONE


def _announce(stage: Any, rebuild: str) -> None:
    """Say what a rebuild will replace before it is done."""
    from hierflow.stages.overview.outlook import look_ahead

    outlook = look_ahead(stage, rebuild)
    if outlook.edit is not None:
        what = "the whole set" if rebuild == "all" else f"partition {rebuild}"
        _say(
            f"rebuilding {what}: {outlook.edit.changed:,} images of the prompts that stay will be other ones; "
            f"{outlook.evaluations:,} evaluations"
        )


@_command
def status(spec: Path, as_json: bool) -> int:
    """Show what is made, what is still to do, and what is at work on it."""
    from hierflow.stages.overview.summary import status_of
    from hierflow.terminal.status import describe_status
    from hierflow.upkeep import busy

    stage = _stage(spec, writes=False)
    found = {**status_of(stage), "at_work": busy(stage, spec.resolve())}
    _print(found, describe_status(found), as_json)
    return DONE


@_command
@click.option("--by", metavar="COLUMN", multiple=True, help="Break it down by a column of the prompts; repeatable.")
@click.option("--since", metavar="DATE", default=None, help="Of past runs tell those since that day, as 2026-11-16.")
def audit(spec: Path, as_json: bool, by: tuple[str, ...], since: str | None) -> int:
    """Show what the set has cost and saved, over all runs of its present plan."""
    from hierflow.stages.overview.summary import audit_of
    from hierflow.terminal.audit import describe_audit

    report = audit_of(_stage(spec, writes=False), by, since)
    _print(report.as_json(), describe_audit(report), as_json)
    return DONE if report.account.books.balanced else FAILED


@_command
@click.option("--yes", is_flag=True, help="Delete it; without this nothing is written.")
def prune(spec: Path, as_json: bool, yes: bool) -> int:
    """Show which stored files nothing live needs, or delete them; refused while a run of the set is active."""
    from hierflow.terminal.pruning import describe_pruning
    from hierflow.upkeep import prune as prune_set

    found = prune_set(_stage(spec), spec.resolve(), delete=yes)
    _print(found.as_json(), describe_pruning(found), as_json)
    return DONE


@_command
@click.argument("directory", metavar="DIR")
@click.option("--partial", is_flag=True, help="Export what there is of a set that is not complete.")
@click.option("--link", is_flag=True, help="Make hard links instead of copies.")
def export(spec: Path, as_json: bool, directory: str, partial: bool, link: bool) -> int:
    """Copy the images into the folder DIR, named by prompt id, with a manifest; nothing is overwritten."""
    from hierflow.stages.overview.summary import current_plan
    from hierflow.stages.reports.export import export_images

    stage = _open_stage(spec)
    stage.store.check_location(writes=False)
    stage.store.check_owner()
    done = export_images(stage, current_plan(stage), directory, partial=partial, link=link)
    if done.others:
        _say(f"PNG files in {done.directory} that are no images of the set: {done.others}; they are left as they are")
    counts = f"{done.copied} copied, {done.linked} linked, {done.unchanged} unchanged"
    state = "" if done.complete else " (incomplete)"
    _print(done.as_json(), f"{done.name}: {counts}{state}\n{done.directory}\n{done.manifest}", as_json)
    return DONE


def _stage(spec: Path, *, writes: bool = True) -> Any:
    """Everything that can be wrong with the input is found here, before any work is done.

    Some of it does not matter to a command that writes nothing.
    """
    from hierflow.stages.overview.preflight import check_input

    stage = _open_stage(spec)
    check_input(stage, writes=writes)
    return stage


def _open_stage(spec: Path) -> Any:
    """The set of a document, of which only the document has been checked."""
    from hierflow.document import load_document
    from hierflow.stages.context import Stage

    document = spec.resolve()
    invocation = uuid.uuid4().hex
    return Stage(
        load_document(spec),
        document.parent,
        document,
        run=invocation,
        invocation=invocation,
        progress=to_stderr,
        say=_say,
    )


def _say(sentence: str) -> None:
    click.echo(sentence, err=True)


def _print(plain: dict[str, Any], text: str, as_json: bool) -> None:
    click.echo(json.dumps(plain, ensure_ascii=False) if as_json else text)


if __name__ == "__main__":
    main()
