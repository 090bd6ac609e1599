"""Figures of an account in words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hierflow.audit.books import Books


def money(amount: float, currency: str) -> str:
    """`12.34 USD`; below 1 with four decimals."""
    return f"{plain_money(amount)} {currency}"


def plain_money(amount: float) -> str:
    """`12.34`; below 1 with four decimals, and what is smaller than those as such; negative with a minus."""
    if 0 < abs(amount) < 0.0001:
        return "< 0.0001" if amount > 0 else "> -0.0001"
    return f"{amount:,.2f}" if abs(amount) >= 1 or not amount else f"{amount:.4f}"


def energy(kwh: float) -> str:
    """`1.234 kWh`, or Wh below a tenth of one."""
    return f"{kwh:,.3f} kWh" if kwh >= 0.1 else f"{kwh * 1000:.2f} Wh"


def by_killed_runs(books: Books) -> str:
    """Whose the unaccounted evaluations are, and that there may be more."""
    count = len(books.illegible)
    more = f"; {count} more of unknown size, such as {books.illegible[0]}, which nobody can read" if count else ""
    return f"at most, by killed runs{more}"


def value_text(value: Any) -> str:
    """A column's value; a dash where there is none."""
    return "—" if value is None or value == "" else str(value)


def when(seconds: float) -> str:
    """A moment, in seconds since the epoch."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
