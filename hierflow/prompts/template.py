"""A template and its axes: every combination is a prompt."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter

from hierflow.errors import InputError
from hierflow.prompts.prompt_set import RESERVED_COLUMNS
from hierflow.prompts.rows import SourceRows, listed
from hierflow.prompts.settings import SETTINGS

MAX_COMBINATIONS = 1_000_000
_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_NAME = re.compile(r"(?!\d+$)[^{}.\[\]!:]+")
_SHOWN_PLACE = 120


def expand_template(template: str, axes: dict[str, list[str]] | None) -> SourceRows:
    """The product of the axes in their order, the last varying fastest; each axis is a column.

    An axis of :data:`hierflow.prompts.settings.SETTINGS`, such as `seed`, need not occur in the template.

    Placeholders are `{axis}` and `{{`, `}}` stand for braces, as in `str.format`, of which nothing else is
    allowed. Values are inserted as they are, braces included.

    Raises:
        InputError: the template is malformed, it and the axes do not name each other, an axis is empty,
            repeats a value or has a name of the manifest's, or there are over a million combinations.
    """
    pieces = _parsed(template, "prompts.template")
    axes = _checked_axes(axes)
    _check_match([name for _, name in pieces if name is not None], axes, template)
    count = math.prod(len(values) for values in axes.values())
    if count > MAX_COMBINATIONS:
        raise InputError(
            f"have {count} combinations, and a set may have {MAX_COMBINATIONS}",
            field="prompts.axes",
            value=" x ".join(f"{name} ({len(values)})" for name, values in axes.items()),
            remedy="use fewer values or split the set",
        )
    rows = list(itertools.product(*axes.values()))
    slots = [(literal, None if name is None else list(axes).index(name)) for literal, name in pieces]
    return SourceRows(
        texts=["".join(s if at is None else row[at] for s, at in slots) for row in rows],
        place=lambda row: f"prompts.template ({_combination(axes, rows[row])})",
        columns=dict(zip(axes, zip(*rows, strict=True), strict=True)),
    )


def _parsed(template: str, field: str) -> list[tuple[str, str | None]]:
    """The template as (literal text, None) and ("", placeholder) in turn."""
    pieces: list[tuple[str, str | None]] = []
    end = 0
    for token in _TOKEN.finditer(template):
        pieces.append((template[end : token.start()], None))
        end = token.end()
        if token[0] in ("{{", "}}"):
            pieces.append((token[0][0], None))
        elif token[0] in ("{", "}"):
            raise InputError(
                f"has a single {token[0]} at character {token.start() + 1}",
                field=field,
                value=template,
                remedy="write {axis} for a placeholder and {{ or }} for a brace",
            )
        elif not _NAME.fullmatch(token[1]):
            raise InputError(
                "is not a placeholder",
                field=field,
                value=token[0],
                remedy="write the name of an axis alone between the braces",
            )
        else:
            pieces.append(("", token[1]))
    return [*pieces, (template[end:], None)]


def _checked_axes(axes: dict[str, list[str]] | None) -> dict[str, list[str]]:
    if not axes:
        raise InputError(
            "are missing, and the template needs them",
            field="prompts.axes",
            remedy="list the values of each placeholder, or give the prompts as text",
        )
    for name, values in axes.items():
        field = f"prompts.axes.{name}"
        if not name.strip() or not name.isprintable() or not _NAME.fullmatch(name):
            raise InputError(
                "cannot be an axis's name",
                field="prompts.axes",
                value=name,
                remedy="use letters, digits, spaces and underscores, and not digits alone",
            )
        if name in RESERVED_COLUMNS.difference(SETTINGS):
            raise InputError("is a column of the manifest", field=field, value=name, remedy="rename the axis")
        if not values:
            raise InputError("has no values", field=field, value=name, remedy="list one or remove the axis")
        twice, times = Counter(values).most_common(1)[0]
        if times > 1:
            raise InputError("occurs twice", field=field, value=twice, remedy="list each value once")
    return axes


def _check_match(used: list[str], axes: dict[str, list[str]], template: str) -> None:
    if lacking := [name for name in used if name not in axes]:
        raise InputError(
            f"has no axis for {{{lacking[0]}}}",
            field="prompts.template",
            value=template,
            remedy=f"add it to the axes ({listed(axes)}) or correct the name",
        )
    if unused := [name for name in axes if name not in used and name not in SETTINGS]:
        raise InputError(
            "is an axis that the template does not use",
            field=f"prompts.axes.{unused[0]}",
            value=unused[0],
            remedy=f"write {{{unused[0]}}} into the template or remove the axis",
        )


def _combination(axes: dict[str, list[str]], row: tuple[str, ...]) -> str:
    text = ", ".join(f"{name}={value!r}" for name, value in zip(axes, row, strict=True))
    return text if len(text) <= _SHOWN_PLACE else f"{text[: _SHOWN_PLACE - 1]}…"
