"""`hierflow audit` in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hierflow.audit.history import total_of
from hierflow.audit.wording import by_killed_runs, energy, money, plain_money, value_text
from hierflow.progress import duration
from hierflow.terminal.text import laid_out, printable

if TYPE_CHECKING:
    from hierflow.audit.account import Audit
    from hierflow.audit.columns import ColumnShare
    from hierflow.audit.made import SetNow
    from hierflow.stages.overview.summary import AuditReport


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
        ("unaccounted", f"{books.unaccounted:>10,}  {by_killed_runs(books)}"),
        ("saved", f"{books.saved:>10.1%}  of the denoiser's work"),
        ("embedding", printable(report.clustered_by)),
        ("prior", f"{account.prior_evaluations:>10,}  sampler steps of the prior"),
        ("padding", f"{account.padding_share:>10.1%}  of the network's rows"),
        ("time", f"{duration(sum(spent.values())):>10}  {_spent(spent)}"),
        *_savings(account),
        *_takings(account),
        *_set_now(account.set_now, account.cost.currency if account.cost else ""),
        ("balance", "the books balance" if books.balanced else "; ".join(books.problems)),
    ]
    if report.page:
        rows.append(("page", report.page))
    tables = [_by(column, shares, account) for column, shares in report.by.items()]
    past = [_past(report)] if report.past or report.since else []
    return "\n\n".join([laid_out("evaluations", rows), *past, *tables])


def _past(report: AuditReport) -> str:
    """What runs did and saved together, whatever plans they were for."""
    total, currency = total_of(report.past), report.account.cost.currency if report.account.cost else ""
    rows = [("runs", f"{total.runs:>10,}")]
    if total.images is not None:
        rows.append(("images", f"{total.images:>10,}  made, those replaced since among them"))
    rows.append(("executed", f"{total.executed:>10,}  evaluations, {total.measured:,} of them to measure something"))
    if total.saved_evaluations is not None:
        rows.append(("saved", f"{total.saved_evaluations:>10,}  evaluations, by sharing, on these images"))
    rows.append(("time", f"{duration(total.seconds):>10}"))
    if total.seconds_saved is not None:
        saved = duration(total.seconds_saved)
        rows.append(("time saved", f"{saved:>10}  of denoising, by sharing; estimated"))
    if total.cost is not None:
        rows.append(("cost", f"{money(total.cost, currency):>10}"))
    if total.cost_saved is not None:
        rows.append(("cost saved", f"{money(total.cost_saved, currency):>10}  of denoising, by sharing"))
    if total.untold:
        rows.append(("untold", f"{total.untold:>10,}  of the runs are too old to tell what they made and saved"))
    since = f" since {report.since}" if report.since else ""
    return laid_out(f"all runs{since}, whatever plans they were for", rows)


def _savings(account: Audit) -> list[tuple[str, str]]:
    rows, made = [], account.made
    if account.seconds_saved is not None:
        saved = duration(account.seconds_saved)
        rows.append(
            ("time saved", f"{saved:>10}  of denoising, by sharing, on {made.images:,} images made; estimated")
        )
    if account.saved_end_to_end is not None:
        rows.append(("end to end", f"{account.saved_end_to_end:>10.1%}  of the time, all but measuring included"))
    if account.seconds_reused:
        spared = duration(account.seconds_reused)
        rows.append(
            ("time spared", f"{spared:>10}  of denoising, by what was there before; no part of what is saved")
        )
    return rows


def _set_now(now: SetNow, currency: str) -> list[tuple[str, str]]:
    """What the images in the set took, whichever plan's runs made them."""
    if not now.images:
        return []
    rows = [
        (
            "the set",
            f"{now.executed:>10,}  executed for its {now.images:,} images, of {now.standard:,} without sharing",
        )
    ]
    if now.seconds is not None and now.seconds_saved is not None:
        saved = f"of denoising, {duration(now.seconds_saved)} saved by sharing, estimated"
        rows.append(("its time", f"{duration(now.seconds):>10}  {saved}"))
    if now.cost is not None and now.cost_saved is not None:
        saved = f"of denoising, {money(now.cost_saved, currency)} saved by sharing, estimated"
        rows.append(("its cost", f"{money(now.cost, currency):>10}  {saved}"))
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
    if cost and cost.measured is not None:
        rows.append(("measuring", f"{money(cost.measured, cost.currency):>10}  of that, apart from what is saved"))
    if cost and cost.saved is not None:
        rows.append(("cost saved", f"{money(cost.saved, cost.currency):>10}  of denoising, by sharing"))
    if cost and cost.reused:
        rows.append(
            ("cost spared", f"{money(cost.reused, cost.currency):>10}  of denoising, by what was there before")
        )
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

    lines = [head, *(line(printable(value_text(share.value)), [share]) for share in shares), line("all", shares)]
    widths = [max(len(cells[place]) for cells in lines) for place in range(len(head))]
    body = [
        "  ".join([f"  {cells[0]:<{widths[0]}}", *map(str.rjust, cells[1:], widths[1:])]).rstrip() for cells in lines
    ]
    return "\n".join([f"by {printable(column)}", *body])


def _spent(seconds: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items())
