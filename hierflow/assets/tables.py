"""Tables for asset pages, as Markdown: the UI's own tables cut off wide rows, and give long texts many lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

import dagster as dg

from hierflow.prompts import PromptSet

ROWS = 64
"""Rows of a table that are shown; how many more there are is said below it."""
_CELL = 200
_MARKS = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_{}[]()#+-.!|<>&~$:@"} | {"\n": " ", "\r": " "})


def table(rows: Iterable[Mapping[str, Any]], more: int = 0) -> dg.MarkdownMetadataValue:
    """The first rows of a table; text is shown as it stands, whatever it is made of.

    Args:
        rows: each with the columns of the first one.
        more: how many rows there are beyond `rows`.
    """
    rows = iter(rows)
    shown = list(islice(rows, ROWS))
    more += sum(1 for _ in rows)
    if not shown:
        return dg.MetadataValue.md("none")
    names = list(shown[0])
    lines = [names, ["---"] * len(names), *([_cell(row[name]) for name in names] for row in shown)]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return dg.MetadataValue.md(f"{text}\n\nand {more:,} more" if more else text)


def prompt_table(prompts: PromptSet, rows: Iterable[int]) -> dg.MarkdownMetadataValue:
    """Prompts of a set with their ids and axes."""
    chosen = list(rows)
    shown = (
        {
            "prompt_id": prompts.ids[row],
            "prompt": prompts.texts[row],
            **{name: column[row] for name, column in prompts.columns.items()},
        }
        for row in chosen[:ROWS]
    )
    return table(shown, more=max(len(chosen) - ROWS, 0))


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.4f}".rstrip("0").rstrip(".")
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    text = "" if value is None else str(value)
    return (f"{text[:_CELL]}..." if len(text) > _CELL else text).translate(_MARKS)
