"""The account as a page: one file, readable without a network and without JavaScript."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from hierflow.audit.account import Audit
from hierflow.audit.charts import books_bars, runs_chart, time_bar
from hierflow.audit.columns import ColumnShare
from hierflow.audit.history import PastRun
from hierflow.audit.wording import by_killed_runs, energy, money, plain_money, value_text, when
from hierflow.progress import duration

_SHOWN_VALUES = 12
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_STATEMENT = (  # sign, field of Books, what it is
    ("", "standard", "Without sharing", "a step of every prompt by itself"),
    ("−", "shared", "Shared", "steps that prompts have in common"),
    ("=", "planned", "Planned", "distinct states of this plan"),
    ("−", "reused", "Reused", "there before"),
    ("−", "outstanding", "Outstanding", "not made yet"),
    ("+", "replayed", "Replayed", "repeated to reach a branching step"),
    ("+", "redone", "Redone", "repeated after a failure"),
    ("+", "measured", "Measured", "to measure something, for no image"),
    ("=", "executed", "Executed", "counted on the network"),
)
_ALWAYS = ("standard", "shared", "planned", "reused", "executed")


def render_audit(
    title: str,
    this_run: Audit,
    all_runs: Audit,
    by: Mapping[str, Sequence[ColumnShare]],
    left_out: Mapping[str, int],
    past: Sequence[PastRun],
) -> str:
    """The page's HTML. Any text is shown as text, and its policy allows nothing but its own style.

    Args:
        title: the set's name.
        this_run, all_runs: the account of the last invocation, and of all runs of the plan.
        by: `all_runs` by columns of the prompts.
        left_out: columns of too many values, and how many.
        past: every invocation, oldest first.
    """
    template, policy = _template()
    return template.render(
        title=title,
        policy=policy,
        books=all_runs.books,
        problems=list(dict.fromkeys((*this_run.books.problems, *all_runs.books.problems))),
        bars=books_bars(all_runs.books),
        statement=_statement(this_run, all_runs),
        facts=_facts(all_runs),
        times=time_bar(all_runs.spent),
        takings=_takings(this_run, all_runs),
        notes=_notes(all_runs),
        chart=runs_chart(past),
        runs=[_run(run) for run in reversed(past)],
        currency=all_runs.cost.currency if all_runs.cost else "",
        columns=[_column(column, shares, all_runs) for column, shares in by.items()],
        left_out=[(column, f"{count:,}") for column, count in left_out.items()],
        small=_small_print(all_runs),
    )


@cache
def _template() -> tuple[Template, str]:
    """The template, and the policy that lets exactly its own style in."""
    source = files("hierflow.audit").joinpath("page.html").read_text(encoding="utf-8")
    (style,) = _STYLE.findall(source)
    allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{allowed}'; base-uri 'none'; form-action 'none'"
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(source), policy


def _facts(account: Audit) -> list[tuple[str, str]]:
    books, cost = account.books, account.cost
    facts = [("of the denoiser's work saved", f"{books.saved:.1%}")]
    if account.saved_end_to_end is not None:
        facts.append(("of the time saved, end to end", f"{account.saved_end_to_end:.1%}"))
    if account.seconds_saved is not None:
        facts.append(("of denoising saved, estimated", duration(max(account.seconds_saved, 0))))
    if cost and cost.spent is not None:
        facts.append(("spent", money(cost.spent, cost.currency)))
    if cost and cost.saved is not None:
        facts.append(("saved, estimated", money(max(cost.saved, 0), cost.currency)))
    return facts


def _statement(this_run: Audit, all_runs: Audit) -> list[dict[str, str]]:
    columns = [
        {**account.books.__dict__, "shared": account.books.standard - account.books.planned}
        for account in (this_run, all_runs)
    ]
    return [
        {
            "sign": sign,
            "label": label,
            "what": what,
            "this_run": f"{columns[0][name]:,}",
            "all_runs": f"{columns[1][name]:,}",
            "kind": "sum" if sign in ("=", "") else "part",
        }
        for sign, name, label, what in _STATEMENT
        if name in _ALWAYS or columns[0][name] or columns[1][name]
    ]


def _takings(this_run: Audit, all_runs: Audit) -> list[tuple[str, str, str]]:
    """GPU seconds, energy and money, of this run and of all; empty if no run held a GPU."""
    both = (this_run, all_runs)
    if not all_runs.gpu.seconds:
        return []
    rows = [("GPU time", [f"{a.gpu.seconds:,.1f} s" for a in both])]
    rows.append(("Energy", [_or_dash(a.gpu.kwh, energy) for a in both]))
    if all_runs.cost:
        currency = all_runs.cost.currency
        rows.append((f"Cost, {currency}", [_or_dash(a.cost and a.cost.spent, plain_money) for a in both]))
        if all_runs.cost.measured is not None:
            measured = [_or_dash(a.cost and a.cost.measured, plain_money) for a in both]
            rows.append((f"To measure, {currency}, of that", measured))
        rows.append((f"Saved, {currency}, estimated", [_or_dash(a.cost and a.cost.saved, plain_money) for a in both]))
    return [(label, this, whole) for label, (this, whole) in rows]


def _notes(account: Audit) -> list[str]:
    notes = [account.gpu.note, account.cost.note if account.cost else ""]
    if account.gpu.names:
        notes.insert(0, ", ".join(account.gpu.names))
    return [note[0].upper() + note[1:] + "." for note in dict.fromkeys(notes) if note]


def _run(run: PastRun) -> dict[str, str]:
    return {
        "began": when(run.began),
        "standard": f"{run.standard:,}" if run.standard else "—",
        "planned": f"{run.planned:,}" if run.planned else "—",
        "executed": f"{run.executed:,}",
        "saved": _or_dash(run.saved, "{:.1%}".format),
        "seconds": duration(run.seconds),
        "gpu_seconds": f"{run.gpu_seconds:,.1f}",
        "cost": _or_dash(run.cost, plain_money),
        "failed": "failed in part" if run.failed else "",
    }


def _column(column: str, shares: Sequence[ColumnShare], account: Audit) -> dict[str, Any]:
    longest = max(share.standard for share in shares)
    rows = [_share(share, longest) for share in shares]
    return {
        "name": column,
        "rows": rows[:_SHOWN_VALUES],
        "rest": rows[_SHOWN_VALUES:],
        "with_gpu": bool(account.gpu.seconds),
        "with_cost": bool(account.cost and account.cost.spent is not None),
    }


def _share(share: ColumnShare, longest: float) -> dict[str, str]:
    return {
        "value": value_text(share.value),
        "images": f"{share.images:,}" if share.made == share.images else f"{share.made:,} of {share.images:,}",
        "standard": f"{share.standard:,.0f}",
        "planned": f"{share.planned:,.0f}",
        "paid": f"{share.paid:,.0f}",
        "saved": f"{share.saved:.1%}",
        "gpu_seconds": f"{share.gpu_seconds:,.1f}",
        "cost": _or_dash(share.cost, plain_money),
        "of_longest": f"{100 * share.standard / longest:.2f}%",
        "planned_of_longest": f"{100 * share.planned / longest:.2f}%",
    }


def _small_print(account: Audit) -> list[tuple[str, str]]:
    books = account.books
    return [
        ("Prior", f"{account.prior_evaluations:,} sampler steps, counted apart"),
        ("Network", f"{account.network_rows:,} rows in {account.network_calls:,} calls"),
        ("Padding", f"{account.padding_share:.1%} of those rows"),
        ("Unaccounted", f"{books.unaccounted:,} evaluations {by_killed_runs(books)}"),
        ("Executed ever", f"{account.executed_ever:,} evaluations, all plans together"),
    ]


def _or_dash(value: Any, words: Any) -> str:
    return "—" if value is None else str(words(value))
