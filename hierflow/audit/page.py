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
from hierflow.audit.history import PastRun, Total, total_of
from hierflow.audit.page_tables import or_dash, savings, set_now, statement, takings
from hierflow.audit.wording import by_killed_runs, money, plain_money, value_text, when
from hierflow.images.page_template import relative_url
from hierflow.progress import duration

_SHOWN_VALUES = 12
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)


def render_audit(
    title: str,
    this_run: Audit,
    all_runs: Audit,
    by: Mapping[str, Sequence[ColumnShare]],
    left_out: Mapping[str, int],
    past: Sequence[PastRun],
    gallery: str,
) -> str:
    """The page's HTML. Any text is shown as text, and its policy allows nothing but its own style.

    Args:
        title: the set's name.
        this_run, all_runs: the account of the last invocation, and of all runs of the plan.
        by: `all_runs` by columns of the prompts.
        left_out: columns of too many values, and how many.
        past: every invocation, oldest first.
        gallery: the file beside it that has the gallery.
    """
    template, policy = _template()
    return template.render(
        title=title,
        policy=policy,
        books=all_runs.books,
        problems=list(dict.fromkeys((*this_run.books.problems, *all_runs.books.problems))),
        bars=books_bars(all_runs.books),
        statement=statement(this_run, all_runs),
        facts=_facts(all_runs),
        times=time_bar(all_runs.spent),
        savings=savings(this_run, all_runs),
        now=set_now(all_runs),
        takings=takings(this_run, all_runs),
        notes=_notes(all_runs),
        chart=runs_chart(past),
        runs=[_run(run) for run in reversed(past)],
        total=_total(total_of(past)),
        currency=all_runs.cost.currency if all_runs.cost else "",
        columns=[_column(column, shares, all_runs) for column, shares in by.items()],
        left_out=[(column, f"{count:,}") for column, count in left_out.items()],
        small=_small_print(all_runs),
        gallery=relative_url(gallery),
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
    books, cost, now = account.books, account.cost, account.set_now
    facts = [("of the denoiser's work saved", f"{books.saved:.1%}")]
    if account.saved_end_to_end is not None:
        facts.append(("of the time of this plan's runs saved, end to end", f"{account.saved_end_to_end:.1%}"))
    if now.seconds_saved is not None:
        facts.append(("of denoising saved on the images in the set, estimated", duration(now.seconds_saved)))
    if cost and cost.spent is not None:
        facts.append(("spent by all runs of this plan", money(cost.spent, cost.currency)))
    if cost and now.cost_saved is not None:
        facts.append(("saved on the images in the set, estimated", money(now.cost_saved, cost.currency)))
    return facts


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
        "saved": or_dash(run.saved, "{:.1%}".format),
        "failed": "failed in part" if run.failed else "",
        **_flow(run),
    }


def _total(total: Total) -> dict[str, str]:
    count = f"{total.runs:,} run{'' if total.runs == 1 else 's'}, all plans"
    untold = f"{total.untold:,} too old to tell what they made and saved" if total.untold else ""
    return {"count": count, "untold": untold, **_flow(total)}


def _flow(run: PastRun | Total) -> dict[str, str]:
    """What a run did and saved, or several together."""
    return {
        "images": or_dash(run.images, "{:,}".format),
        "executed": f"{run.executed:,}",
        "measured": f"{run.measured:,}" if run.measured else "",
        "saved_evaluations": or_dash(run.saved_evaluations, "{:,}".format),
        "seconds": duration(run.seconds),
        "seconds_saved": or_dash(run.seconds_saved, duration),
        "gpu_seconds": f"{run.gpu_seconds:,.1f}",
        "cost": or_dash(run.cost, plain_money),
        "cost_saved": or_dash(run.cost_saved, plain_money),
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
        "cost": or_dash(share.cost, plain_money),
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
