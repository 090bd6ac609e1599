"""Figures as text, for people at a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hierflow.plan.cost import STARTUP_SHARE
from hierflow.progress import duration

if TYPE_CHECKING:
    from hierflow.stages.auditing import Audit
    from hierflow.stages.outlook import Outlook


def describe_plan(outlook: Outlook) -> str:
    """`hierflow plan` in words."""
    plan, sizes = outlook.plan, sorted(outlook.sizes.values())
    rows = [
        ("prompts", _prompts(outlook)),
        ("standard", f"{plan.standard:,} evaluations, a step of every prompt by itself"),
        ("planned", f"{plan.planned:,} evaluations with shared steps"),
        ("saved", f"{plan.saved:.1%}"),
        ("partitions", f"{len(sizes)} of {sizes[0]} to {sizes[-1]} prompts; {len(outlook.to_run)} to run"),
        ("to execute", f"{outlook.evaluations:,} evaluations, after what is stored"),
        *_times(outlook),
    ]
    return _table(outlook.name, rows) + "".join(f"\nwarning: {warning}" for warning in outlook.warnings)


def describe_run(summary: dict[str, Any], problems: Sequence[str]) -> str:
    """`hierflow run` in words."""
    evaluations, partitions = summary["evaluations"], summary["partitions"]
    repeated = evaluations["replayed"] + evaluations["redone"]
    rows = [
        ("images", f"{summary['images']} of {summary['prompts']} prompts" + _incomplete(summary)),
        (
            "partitions",
            f"{partitions['run']} run, {partitions['skipped']} up to date, {partitions['failed']} failed",
        ),
        (
            "evaluations",
            f"{evaluations['executed']:,} executed, {evaluations['reused']:,} reused of {evaluations['planned']:,} "
            f"planned" + (f", {repeated:,} repeated" if repeated else ""),
        ),
        ("saved", f"{summary['saved']:.1%} of {evaluations['standard']:,} evaluations without sharing"),
        ("time", duration(summary["seconds"])),
        ("gallery", str(summary["gallery"])),
        ("manifest", str(summary["manifest"])),
        ("audit", str(summary["audit"])),
    ]
    return _table(summary["name"], rows) + "".join(f"\nfailed: {problem}" for problem in problems)


def describe_status(found: dict[str, Any]) -> str:
    """`hierflow status` in words."""
    left = found["partitions"]["to_run"]
    rows = [
        ("images", f"{found['images']} of {found['prompts']} prompts" + _incomplete(found)),
        ("to run", f"{len(left)} of {found['partitions']['total']} partitions" + _listed(left)),
        ("saved", f"{found['saved']:.1%}"),
        ("gallery", str(found["gallery"])),
        ("manifest", str(found["manifest"])),
    ]
    if found["edited"]:
        since = f"{', '.join(found['edited'])}: `hierflow plan` shows what a run would do about it"
        rows.insert(2, ("edited", since))
    failures = "".join(f"\n{row['status']}: {row['prompt_id']}: {row['error']}" for row in found["failed"][:20])
    return _table(found["name"], rows) + failures


def describe_audit(account: Audit) -> str:
    """`hierflow audit` in words."""
    books, seconds = account.books, account.seconds
    spent = {name: value for name, value in seconds.items() if name != "startup"}
    rows = [
        ("standard", f"{books.standard:>10,}  without sharing"),
        ("planned", f"{books.planned:>10,}  distinct states of this plan"),
        ("reused", f"{books.reused:>10,}  planned and there before"),
        ("outstanding", f"{books.outstanding:>10,}  planned and not made yet"),
        ("replayed", f"{books.replayed:>10,}  repeated to reach a branching step"),
        ("redone", f"{books.redone:>10,}  repeated after a failure"),
        ("measured", f"{books.measured:>10,}  to measure something"),
        ("executed", f"{books.executed:>10,}  counted on the network"),
        ("unaccounted", f"{books.unaccounted:>10,}  at most, by killed runs"),
        ("saved", f"{books.saved:>10.1%}  of the denoiser's work"),
        ("prior", f"{account.prior_evaluations:>10,}  sampler steps of the prior"),
        ("padding", f"{account.padding_share:>10.1%}  of the network's rows"),
        ("time", f"{duration(sum(spent.values())):>10}  {_spent(spent)}"),
        ("balance", "the books balance" if books.balanced else "; ".join(books.problems)),
    ]
    if account.seconds_saved is not None:
        rows.insert(-1, ("time saved", f"{duration(max(account.seconds_saved, 0)):>10}  of denoising, estimated"))
    return _table("evaluations", rows)


def _prompts(outlook: Outlook) -> str:
    total, distinct = len(outlook.prompts), len(outlook.prompts.distinct)
    images = outlook.plan.images_per_prompt
    each = f", {images} images each" if images > 1 else ""
    return f"{total:,}" + (f" ({distinct:,} different)" if distinct != total else "") + each


def _times(outlook: Outlook) -> list[tuple[str, str]]:
    guess = outlook.estimate
    if guess is None:
        return [("time", "not known before the first run, which measures an evaluation")]
    share = f"{guess.startup_share:.1%} of an average partition's run"
    if guess.startup_share > STARTUP_SHARE:
        share += f"; partitions.max_prompts: {guess.max_prompts} brings it under {STARTUP_SHARE:.0%}"
    return [("time", f"{duration(guess.seconds)} for the whole set, at the pace last measured"), ("start-up", share)]


def _incomplete(summary: dict[str, Any]) -> str:
    return "" if summary["complete"] else " (incomplete)"


def _listed(keys: Sequence[str]) -> str:
    return f": {', '.join(keys[:6])}{' ...' if len(keys) > 6 else ''}" if keys else ""


def _spent(seconds: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items())


def _table(title: str, rows: Sequence[tuple[str, str]]) -> str:
    width = max(len(label) for label, _ in rows)
    return "\n".join([title, *(f"  {label:<{width}}  {value}" for label, value in rows)])
