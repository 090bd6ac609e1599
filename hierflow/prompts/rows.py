"""The rules every prompt keeps, wherever it came from."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hierflow.errors import InputError
from hierflow.hashing import digest, text_hash
from hierflow.prompts.prompt_set import PromptSet
from hierflow.prompts.settings import SETTINGS, RowSettings, row_settings

MAX_CHARACTERS = 10_000
_ID_DIGITS = 16
_SHOWN_NAMES = 12


@dataclass(frozen=True)
class SourceRows:
    """What a source holds, unchecked; every source reads itself into this.

    Args:
        texts: one prompt a row.
        place: the row's place as an error names it, from the row's index (from 0).
        file: the file that holds the rows, None where the document itself does.
        ids: ids given by the user, one a row, already known not to be blank; None where there are none.
        columns: name -> one value a row; those of :data:`hierflow.prompts.settings.SETTINGS` are settings.
    """

    texts: Sequence[str]
    place: Callable[[int], str]
    file: Path | None = None
    ids: Sequence[str] | None = None
    columns: dict[str, Sequence[Any]] = field(default_factory=dict)


def checked_set(rows: SourceRows, where: str) -> PromptSet:
    """The prompt set of `rows`: texts stripped and checked, repetitions dropped, ids filled in.

    Raises:
        InputError: there is no row, a text is blank, too long or holds control characters, a setting is wrong, or one
            id stands for two texts or for two settings.
    """
    texts = [_checked_text(text.strip(), rows, row) for row, text in enumerate(rows.texts)]
    if not texts:
        raise InputError("holds no prompts", file=rows.file, field=where, remedy="give at least one prompt")
    settings = row_settings(rows.columns, len(texts), rows.place, rows.file)
    ids = rows.ids if rows.ids is not None else _ids(texts, settings)
    kept = _first_rows(ids, texts, settings, rows)
    return PromptSet(
        ids=tuple(ids[row] for row in kept),
        texts=tuple(texts[row] for row in kept),
        columns={
            name: tuple(column[row] for row in kept) for name, column in rows.columns.items() if name not in SETTINGS
        },
        settings=tuple(settings[row] for row in kept) if settings else (),
    )


def _ids(texts: Sequence[str], settings: Sequence[RowSettings]) -> list[str]:
    """An id by content; a row that sets nothing has its text's, wherever it stands."""
    own = settings or [RowSettings()] * len(texts)
    return [
        (digest(text, [getattr(row, name) for name in SETTINGS]) if row else text_hash(text))[:_ID_DIGITS]
        for text, row in zip(texts, own, strict=True)
    ]


def listed(names: Iterable[str]) -> str:
    """Names for an error's remedy, cut short where there are many."""
    shown = [*itertools.islice(names, _SHOWN_NAMES + 1)]
    return ", ".join(shown[:_SHOWN_NAMES]) + (", …" if len(shown) > _SHOWN_NAMES else "")


def _checked_text(text: str, rows: SourceRows, row: int) -> str:
    if not text:
        raise InputError(
            "is a blank prompt",
            file=rows.file,
            field=rows.place(row),
            value=text,
            remedy="write the prompt or remove the entry",
        )
    if len(text) > MAX_CHARACTERS:
        raise InputError(
            f"has {len(text)} characters, and a prompt may have {MAX_CHARACTERS}",
            file=rows.file,
            field=rows.place(row),
            value=text,
            remedy="shorten it",
        )
    if not text.isprintable() and (found := next((c for c in text if _is_refused(c)), None)):
        raise InputError(
            f"holds {_named(found)}",
            file=rows.file,
            field=rows.place(row),
            value=text,
            remedy="write each prompt on one line of plain text",
        )
    return text


def _is_refused(character: str) -> bool:
    """Control characters except tab, and lone surrogates, which UTF-8 cannot say."""
    return character != "\t" and unicodedata.category(character) in ("Cc", "Cs")


def _named(character: str) -> str:
    return "a line break" if character in "\r\n" else f"the character U+{ord(character):04X}"


def _first_rows(ids: Sequence[str], texts: list[str], settings: Sequence[RowSettings], rows: SourceRows) -> list[int]:
    """The first row of each id; the rows after it repeat its text and settings and add nothing."""
    first: dict[str, int] = {}
    for row, prompt_id in enumerate(ids):
        earlier = first.setdefault(prompt_id, row)
        if texts[earlier] != texts[row] or (settings and settings[earlier] != settings[row]):
            raise InputError(
                f"is the id of another prompt too ({rows.place(earlier)})",
                file=rows.file,
                field=rows.place(row),
                value=prompt_id,
                remedy="give each prompt an id of its own",
            )
    return list(first.values())
