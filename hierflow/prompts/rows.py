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
from hierflow.prompts.prompt_set import PromptSet, json_value
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
        file: path or URL of the file that holds the rows, None where the document itself does.
        ids: ids given by the user, one a row, already known not to be blank; None where there are none.
        columns: name -> one value a row; those of :data:`hierflow.prompts.settings.SETTINGS` are settings.
    """

    texts: Sequence[str]
    place: Callable[[int], str]
    file: Path | str | None = None
    ids: Sequence[str] | None = None
    columns: dict[str, Sequence[Any]] = field(default_factory=dict)


def checked_set(rows: SourceRows) -> PromptSet:
    """The prompt set of `rows`: texts stripped and checked, exact repetitions dropped and counted, ids filled in.

    Raises:
        InputError: there is no row, a text is blank, too long or holds control characters, a setting is wrong, or one
            id stands for two rows that differ.
    """
    texts = [_checked_text(text.strip(), rows, row) for row, text in enumerate(rows.texts)]
    if not texts:
        raise InputError("holds no prompts", file=rows.file, field="prompts", remedy="give at least one prompt")
    settings = row_settings(rows.columns, len(texts), rows.place, rows.file)
    labels = _Labels({name: column for name, column in rows.columns.items() if name not in SETTINGS})
    ids = rows.ids if rows.ids is not None else _ids(texts, settings, labels)
    kept = _first_rows(ids, texts, settings, labels, rows)
    return PromptSet(
        ids=tuple(ids[row] for row in kept),
        texts=tuple(texts[row] for row in kept),
        columns={name: tuple(column[row] for row in kept) for name, column in labels.columns.items()},
        settings=tuple(settings[row] for row in kept) if settings else (),
        repetitions=len(texts) - len(kept),
    )


@dataclass(frozen=True)
class _Labels:
    """The columns that set nothing."""

    columns: dict[str, Sequence[Any]]

    def of(self, row: int) -> dict[str, Any]:
        """A row's, as JSON can say them, so that NaN is NaN."""
        return {name: json_value(column[row]) for name, column in self.columns.items()}


def _ids(texts: Sequence[str], settings: Sequence[RowSettings], labels: _Labels) -> list[str]:
    """An id by content: of the text, and of what the row sets, if anything.

    Of rows with one text and settings the first has this id, and those with other labels one by their labels too.
    """
    own = settings or [RowSettings()] * len(texts)
    first: dict[str, int] = {}
    ids = []
    for row, (text, sets) in enumerate(zip(texts, own, strict=True)):
        whole = digest(text, [getattr(sets, name) for name in SETTINGS]) if sets else text_hash(text)
        earlier = first.setdefault(whole, row)
        is_labelled = earlier != row and labels.of(earlier) != labels.of(row)
        ids.append((digest(whole, labels.of(row)) if is_labelled else whole)[:_ID_DIGITS])
    return ids


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


def _first_rows(
    ids: Sequence[str], texts: list[str], settings: Sequence[RowSettings], labels: _Labels, rows: SourceRows
) -> list[int]:
    """The first row of each id; the rows after it repeat all of it and add nothing."""
    first: dict[str, int] = {}
    for row, prompt_id in enumerate(ids):
        earlier = first.setdefault(prompt_id, row)
        if earlier == row:
            continue
        if texts[earlier] != texts[row] or (settings and settings[earlier] != settings[row]):
            other = "prompt"
        elif labels.of(earlier) != labels.of(row):
            other = "row"
        else:
            continue
        raise InputError(
            f"is the id of another {other} too ({rows.place(earlier)})",
            file=rows.file,
            field=rows.place(row),
            value=prompt_id,
            remedy=f"give each {other} an id of its own, or leave out id_column",
        )
    return list(first.values())
