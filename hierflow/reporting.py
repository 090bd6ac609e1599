"""Figures as text, for people at a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hierflow.audit.wording import energy, money, plain_money, value_text
from hierflow.plan.cost import STARTUP_SHARE
from hierflow.progress import duration
from hierflow.scoring.cluster_bootstrap import Interval

if TYPE_CHECKING:
    from hierflow.audit.account import Audit
    from hierflow.audit.columns import ColumnShare
    from hierflow.stages.outlook import Outlook
    from hierflow.stages.summary import AuditReport
    from hierflow.upkeep import Pruning

_WIDEST, _SENTENCE = 40, 400
_STATES = 20
"""Partitions told of; the rest is counted."""


def describe_plan(outlook: Outlook) -> str:
    """`hierflow plan` in words."""
    plan, sizes = outlook.plan, sorted(outlook.sizes.values())
    rows = [
        ("prompts", _prompts(outlook)),
        ("embedding", _printable(outlook.clustered_by)),
        ("standard", f"{plan.standard:,} evaluations, a step of every prompt by itself"),
        ("planned", f"{plan.planned:,} evaluations with shared steps"),
        ("saved", f"{plan.saved:.1%}"),
        ("partitions", f"{len(sizes)} of {sizes[0]} to {sizes[-1]} prompts; {len(outlook.to_run)} to run"),
        ("to execute", f"{outlook.evaluations:,} evaluations, after what is stored"),
        *_measured(outlook),
        *_edited(outlook),
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
        *_measured_by(summary["measured"]),
        ("saved", f"{summary['saved']:.1%} of {evaluations['standard']:,} evaluations without sharing"),
        *_quality(summary["quality"]),
        ("time", duration(summary["seconds"])),
        ("space", _space(summary["bytes"])),
        ("gallery", str(summary["gallery"])),
        ("manifest", str(summary["manifest"])),
        ("audit", str(summary["audit"])),
    ]
    return _table(summary["name"], rows) + "".join(f"\nfailed: {problem}" for problem in problems)


def _measured_by(evaluations: int) -> list[tuple[str, str]]:
    told = f"{evaluations:,} of these evaluations, to tell what the images are worth"
    return [("measured", told)] if evaluations else []


def _quality(found: dict[str, Any] | None) -> list[tuple[str, str]]:
    """What the last quality report said."""
    if found is None:
        return []
    rows = []
    for metric, about in found["metrics"].items():
        rate = Interval(**about["win_rate"])
        told = f"{metric} win rate {rate} in {about['pairs']} pairs, 0.5 is as good as without sharing"
        rows.append(("quality", about["fault"] or told))
    if found["verdict"]:
        rows.append(("floor", found["verdict"]["reason"]))
    rows += [
        (name.replace("_", " "), f"{found[name]} found; see {found['page']}")
        for name in ("near_duplicates", "blank")
        if found[name]
    ]
    return rows


def describe_status(found: dict[str, Any]) -> str:
    """`hierflow status` in words."""
    left = found["partitions"]["to_run"]
    conditions = ", ".join(f"{count} {name}" for name, count in found["conditions"].items())
    rows = [
        ("images", f"{found['images']} of {found['prompts']} prompts" + _incomplete(found)),
        ("partitions", conditions),
        ("to run", f"{len(left)} of {found['partitions']['total']} partitions" + _listed(left)),
        ("saved", f"{found['saved']:.1%}"),
        ("embedding", _printable(found["clustered_by"])),
        *_quality(found["quality"]),
        ("space", f"{_space(found['bytes'])}; {volume(found['bytes_a_prompt']['all'])} a prompt"),
        ("gallery", str(found["gallery"])),
        ("manifest", str(found["manifest"])),
    ]
    if found["edited"]:
        since = f"{', '.join(found['edited'])}: `hierflow plan` shows what a run would do about it"
        rows.insert(2, ("edited", since))
    states = [state for state in found["states"] if state["state"] != "fresh"]
    told = "".join(f"\n{line}" for state in states[:_STATES] for line in _state(state))
    more = f"\nand {len(states) - _STATES} more partitions; --json has them all" if len(states) > _STATES else ""
    failures = "".join(
        f"\n{row['status']}: {_printable(row['prompt_id'])}: {_printable(row['error'], _SENTENCE)}"
        for row in found["failed"][:20]
    )
    return _table(found["name"], rows) + told + more + failures


def _state(state: dict[str, Any]) -> list[str]:
    """A partition that is not fresh: what it is, of which prompts, and what makes it go on."""
    shown = ", ".join(repr(_printable(prompt)) for prompt in state["such_as"])
    more = f" and {state['prompts'] - len(state['such_as'])} more" if state["prompts"] > len(state["such_as"]) else ""
    prompts = f"{shown}{more}: " if shown else ""
    lines = [f"{state['state']}: {state['partition']}: {prompts}{_printable(state['cause'], _SENTENCE)}"]
    return lines + ([f"  goes on with {state['goes_on']}"] if state["state"] == "waiting" else [])


def describe_pruning(found: Pruning) -> str:
    """`hierflow prune` in words."""
    plain = found.as_json()
    rows = [
        (kind, f"{about['files']:>7,} files  {volume(about['bytes']):>9}")
        for kind, about in plain["kinds"].items()
        if about["files"]
    ]
    if found.keys:
        rows.append(("partitions", f"{len(found.keys):>7,} keys of earlier trees" + _listed(found.keys)))
    if not rows:
        return f"{found.name}\n  nothing to prune"
    rows.append(("all", f"{plain['files']:>7,} files  {volume(plain['bytes']):>9}"))
    told = "deleted" if found.deleted else "nothing has been deleted; `hierflow prune SPEC --yes` deletes it"
    return f"{_table(found.name, rows)}\n{told}"


def volume(size: int) -> str:
    """So many bytes, such as `1.2 MB`."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if size >= factor:
            return f"{size / factor:,.1f} {unit}"
    return f"{size} B"


def _space(sizes: dict[str, int]) -> str:
    return f"{volume(sizes['all'])}, of which {volume(sizes['states'])} states and {volume(sizes['images'])} images"


def describe_audit(report: AuditReport) -> str:
    """`hierflow audit` in words."""
    account = report.account
    books, spent = account.books, account.spent
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
        ("embedding", _printable(report.clustered_by)),
        ("prior", f"{account.prior_evaluations:>10,}  sampler steps of the prior"),
        ("padding", f"{account.padding_share:>10.1%}  of the network's rows"),
        ("time", f"{duration(sum(spent.values())):>10}  {_spent(spent)}"),
        *_savings(account),
        *_takings(account),
        ("balance", "the books balance" if books.balanced else "; ".join(books.problems)),
    ]
    if report.page:
        rows.append(("page", report.page))
    tables = [_by(column, shares, account) for column, shares in report.by.items()]
    return "\n\n".join([_table("evaluations", rows), *tables])


def _savings(account: Audit) -> list[tuple[str, str]]:
    rows = []
    if account.seconds_saved is not None:
        rows.append(("time saved", f"{duration(max(account.seconds_saved, 0)):>10}  of denoising, estimated"))
    if account.saved_end_to_end is not None:
        rows.append(("end to end", f"{account.saved_end_to_end:>10.1%}  of the time, prior and decoder included"))
    return rows


def _takings(account: Audit) -> list[tuple[str, str]]:
    """GPU time, energy and money, as far as there are any."""
    gpu, cost = account.gpu, account.cost
    if not gpu.seconds:
        return [("gpu", gpu.note)]
    rows = [("gpu", f"{duration(gpu.seconds):>10}  {', '.join(gpu.names)}")]
    rows.append(("energy", f"{energy(gpu.kwh):>10}  {gpu.note}".rstrip() if gpu.kwh is not None else gpu.note))
    if cost:
        rows.append(("cost", f"{money(cost.spent, cost.currency):>10}" if cost.spent is not None else cost.note))
    if cost and cost.spent is not None and cost.note:
        rows[-1] = ("cost", f"{rows[-1][1]}  {cost.note}")
    if cost and cost.saved is not None:
        rows.append(("cost saved", f"{money(max(cost.saved, 0), cost.currency):>10}  of denoising, estimated"))
    return rows


def _by(column: str, shares: Sequence[ColumnShare], account: Audit) -> str:
    """A line a value, and their sum."""
    gpu, cost = bool(account.gpu.seconds), account.cost if account.cost and account.cost.spent is not None else None
    head = ["", "images", "standard", "planned", "saved", "paid"]
    head += (["GPU s"] if gpu else []) + ([cost.currency] if cost else [])

    def line(name: str, own: Sequence[ColumnShare]) -> list[str]:
        standard, planned = sum(share.standard for share in own), sum(share.planned for share in own)
        cells = [name, f"{sum(share.images for share in own):,}", f"{standard:,.1f}", f"{planned:,.1f}"]
        cells += [f"{1 - planned / standard:.1%}", f"{sum(share.paid for share in own):,.1f}"]
        cells += [f"{sum(share.gpu_seconds for share in own):,.1f}"] if gpu else []
        return cells + ([plain_money(sum(share.cost or 0.0 for share in own))] if cost else [])

    lines = [head, *(line(_printable(value_text(share.value)), [share]) for share in shares), line("all", shares)]
    widths = [max(len(cells[place]) for cells in lines) for place in range(len(head))]
    body = [
        "  ".join([f"  {cells[0]:<{widths[0]}}", *map(str.rjust, cells[1:], widths[1:])]).rstrip() for cells in lines
    ]
    return "\n".join([f"by {_printable(column)}", *body])


def _printable(text: str, widest: int = _WIDEST) -> str:
    """`text` in one line of at most `widest` characters that cannot steer a terminal."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return shown if len(shown) <= widest else shown[: widest - 3] + "..."


def _prompts(outlook: Outlook) -> str:
    total, distinct = len(outlook.prompts), len(outlook.prompts.distinct)
    images = outlook.plan.images_per_prompt
    each = f", {images} images each" if images > 1 else ""
    return f"{total:,}" + (f" ({distinct:,} different)" if distinct != total else "") + each


def _measured(outlook: Outlook) -> list[tuple[str, str]]:
    """What is found out before and after: the pilot's curve, and what pilot and baselines take."""
    rows = []
    if outlook.pilot_at_most:
        at_most = f"at most {outlook.pilot_at_most:,} evaluations"
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
    kind = "on the pinned tree" if edit.is_pinned else "with a tree founded anew"
    if edit.clustered_by != outlook.clustered_by:
        kind += f", as it was clustered by {_printable(edit.clustered_by)}"
    prices = f"{edit.new:,} new, {edit.removed:,} removed: {outlook.evaluations:,} evaluations {kind}"
    rows = [("edited", prices + (f"; {edit.rebuild:,} to rebuild" if edit.is_pinned else ""))]
    if edit.is_pinned:
        rows.append(("tree", f"regret {comparison.regret:.1%}, drift {comparison.drift:.1%}"))
        rows.append(("rebuilding", f"would change {edit.rebuild_changed:,} images of the prompts that stay"))
    if edit.changed:
        rows.append(("changes", f"{edit.changed:,} images of the prompts that stay"))
    return rows


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
