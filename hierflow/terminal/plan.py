"""`hierflow plan` in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hierflow.plan.cost import STARTUP_SHARE
from hierflow.progress import duration
from hierflow.terminal.text import laid_out, listed, printable
from hierflow.tree.memory import NO_ROOM

if TYPE_CHECKING:
    from hierflow.stages.overview.outlook import Outlook


def describe_plan(outlook: Outlook) -> str:
    """`hierflow plan` in words."""
    plan, sizes = outlook.plan, sorted(outlook.sizes.values())
    rows = [
        ("prompts", _prompts(outlook)),
        ("embedding", printable(outlook.clustered_by)),
        ("standard", f"{plan.standard:,} evaluations, a step of every prompt by itself"),
        ("planned", f"{plan.planned:,} evaluations with shared steps"),
        ("saved", f"{plan.saved:.1%}"),
        ("partitions", f"{len(sizes)} of {sizes[0]} to {sizes[-1]} prompts; {len(outlook.to_run)} to run"),
        *_selected(outlook),
        ("to execute", f"{outlook.evaluations:,} evaluations, after what is stored"),
        *_measured(outlook),
        *_edited(outlook),
        *_times(outlook),
    ]
    return laid_out(outlook.name, rows) + "".join(f"\nwarning: {warning}" for warning in outlook.warnings)


def _prompts(outlook: Outlook) -> str:
    total, distinct = len(outlook.prompts), len(outlook.prompts.distinct)
    images = outlook.plan.images_per_prompt
    each = f", {images} images each" if images > 1 else ""
    return f"{total:,}" + (f" ({distinct:,} different)" if distinct != total else "") + each


def _selected(outlook: Outlook) -> list[tuple[str, str]]:
    if outlook.selected is None:
        return []
    ids = [printable(prompt_id) for own in outlook.selected.values() for prompt_id in sorted(own)]
    return [("asked for", f"{len(ids):,} of {len(outlook.prompts):,} prompts" + listed(ids))]


def _measured(outlook: Outlook) -> list[tuple[str, str]]:
    """What is found out before and after: the pilot's curve, and what pilot and baselines take."""
    rows = []
    if outlook.pilot_at_most:
        at_most = f"at most {outlook.pilot_at_most:,} evaluations"
        if outlook.selected is not None:
            at_most += " whatever the limit"
        rows.append(
            ("pilot", f"finds tau first, {at_most}; the figures above are as if it were {outlook.plan.tau:g}")
        )
    if outlook.pilot:
        found = [
            f"{point.budget:.0%} {'passed' if point.passed else 'failed'} at {point.difference}"
            for point in outlook.pilot.points
        ]
        rows.append(("tau", f"{outlook.plan.tau:.4g}, found by the pilot; of the evaluations " + "; ".join(found)))
    if outlook.baselines:
        rows.append(("baselines", f"at most {outlook.baselines:,} evaluations more, once, to measure quality"))
    return rows


def _edited(outlook: Outlook) -> list[tuple[str, str]]:
    """What has changed since the current plan, and what it costs with the tree kept and with a new one."""
    edit, comparison = outlook.edit, outlook.comparison
    if edit is None:
        return []
    counts = {"edited": edit.edited, "new": edit.new, "removed": edit.removed}
    told = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    kind = "on the pinned tree" if edit.is_pinned else "with a tree founded anew"
    if edit.clustered_by != outlook.clustered_by:
        kind += f", as it was clustered by {printable(edit.clustered_by)}"
    prices = (f"{told}: " if told else "") + f"{outlook.evaluations:,} evaluations {kind}"
    is_same = not told and edit.is_pinned and edit.clustered_by == outlook.clustered_by
    if not edit.is_pinned:
        rows = [("edited", prices)]
    elif comparison is None or edit.rebuild is None:
        rows = [("edited", prices), ("tree", NO_ROOM)]
    else:
        rebuild = f"; {edit.rebuild:,} to rebuild"
        if edit.rebuild_pilot:
            rebuild += f" at this tau, which a pilot of at most {edit.rebuild_pilot:,} would find anew"
        rows = [
            ("edited", prices + rebuild),
            ("tree", f"regret {comparison.regret:.1%}, drift {comparison.drift:.1%}"),
            ("rebuilding", f"would change {edit.rebuild_changed:,} images of the prompts that stay"),
        ]
    if is_same:  # nothing to tell a price of
        rows = rows[1:]
    if edit.changed:
        rows.append(("changes", f"{edit.changed:,} images of the prompts that stay"))
    return rows


def _times(outlook: Outlook) -> list[tuple[str, str]]:
    guess = outlook.estimate
    if guess is None:
        return [("time", "not known before the first run, which measures an evaluation")]
    share = f"{guess.startup_share:.1%} of an average partition's run"
    if guess.startup_share > STARTUP_SHARE and guess.max_prompts <= len(outlook.prompts.distinct):
        share += f"; partitions.max_prompts: {guess.max_prompts} and --rebuild bring it under {STARTUP_SHARE:.0%}"
    left = f"{duration(guess.seconds_left)} for what is to execute, " if outlook.evaluations else ""
    told = f"{left}{duration(guess.seconds)} for the whole set, at the pace last measured"
    return [("time", told), ("start-up", share)]
