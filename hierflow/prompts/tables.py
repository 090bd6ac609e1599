"""Tables of prompts: CSV, in which everything is text, and parquet, which keeps its types."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hierflow.errors import InputError
from hierflow.prompts.prompt_set import RESERVED_COLUMNS
from hierflow.prompts.rows import SourceRows, listed
from hierflow.prompts.settings import SETTINGS, is_blank, whole_number
from hierflow.prompts.text_files import PromptFile, decode_text

_DELIMITER_LINE = re.compile(r'"?sep=([^"\w\s]|\t)"?(?:\r\n|\r|\n|$)', re.IGNORECASE)
"""The first line by which Excel is told what separates cells."""
_WHOLE_FLOAT = re.compile(r"-?\d+\.0", re.ASCII)


@dataclass(frozen=True)
class _Table:
    """Columns by name, and the place of a row as an error names it."""

    columns: dict[str, Sequence[Any]]
    place: Callable[[int], str]


def read_table(source: PromptFile, prompt_column: str, id_column: str | None) -> SourceRows:
    """The rows of a `.csv` or `.parquet` file; columns other than the prompts and ids are kept.

    Rows whose cells are all blank are left out.

    Raises:
        InputError: the suffix is another, the file cannot be read, a column is missing, blank, of the wrong
            type or named like one of the manifest's, or an id is missing in a row.
    """
    readers = {".csv": _read_csv, ".parquet": _read_parquet}
    if source.suffix not in readers:
        raise InputError(
            "is neither .csv nor .parquet",
            field="prompts.table",
            value=source.written,
            remedy="save the table in one of these formats",
        )
    if id_column == prompt_column:
        raise InputError(
            "is the prompt column too", field="prompts.id_column", value=id_column, remedy="name another"
        )
    path = source.name
    table = readers[source.suffix](source.read(), path)
    for field, name in (("prompt_column", prompt_column), ("id_column", id_column)):
        if name is not None and name not in table.columns:
            raise InputError(
                f"is not a column of {path}",
                field=f"prompts.{field}",
                value=name,
                remedy=_other_column(list(table.columns)),
            )
    others = {name: column for name, column in table.columns.items() if name not in (prompt_column, id_column)}
    _check_names(others, path)
    return SourceRows(
        texts=_texts(table, prompt_column, path),
        place=table.place,
        file=path,
        ids=None if id_column is None else _ids(table, id_column, path),
        columns=others,
    )


def _other_column(columns: list[str]) -> str:
    """What to do about a column that is not there."""
    if sign := next((sign for sign in ";\t|" if len(columns) == 1 and sign in columns[0]), None):
        return (
            f"separate its cells by commas or begin it with the line 'sep={sign}' (it has one column, {columns[0]!r})"
        )
    return f"name one of its columns ({listed(columns)})"


def _texts(table: _Table, column: str, path: Path | str) -> list[str]:
    """The prompts; a null becomes a blank, which the check of all prompts names by its row."""
    values = table.columns[column]
    for row, value in enumerate(values):
        if value is not None and not isinstance(value, str):
            raise InputError(
                "is not text",
                file=path,
                field=f"{table.place(row)}, column {column}",
                value=value,
                remedy="name a column of text as prompt_column",
            )
    return [value or "" for value in values]


def _ids(table: _Table, column: str, path: Path | str) -> list[str]:
    """The ids as text. Whole numbers become text; other types have no one spelling.

    A column in which pandas has put `.0` behind every number, as it does beside blanks, holds whole numbers.
    """
    values = table.columns[column]
    if all(isinstance(value, str) and _WHOLE_FLOAT.fullmatch(value) for value in values):
        values = [value.removesuffix(".0") for value in values]
    ids = []
    for row, value in enumerate(values):
        blank = is_blank(value)
        text = value if isinstance(value, str) else whole_number(value)
        if blank or text is None:
            raise InputError(
                "is a missing id" if blank else "is neither text nor a whole number",
                file=path,
                field=f"{table.place(row)}, column {column}",
                value="" if blank else value,
                remedy="give every row an id" if blank else "save the ids as text",
            )
        ids.append(str(text))
    return ids


def _check_names(others: dict[str, Sequence[Any]], path: Path | str) -> None:
    for name in others:
        if name in RESERVED_COLUMNS.difference(SETTINGS):
            raise InputError(
                "is a column of the manifest too",
                file=path,
                value=name,
                remedy="rename or drop the column, or name it as prompt_column or id_column",
            )


def _check_header(names: list[str], path: Path | str) -> None:
    for at, name in enumerate(names):
        if not name:
            raise InputError("has no name", file=path, field=f"column {at + 1}", remedy="name the column or drop it")
        if name in names[:at]:
            raise InputError("names two columns", file=path, value=name, remedy="rename one of them")


def _read_csv(data: bytes, path: Path | str) -> _Table:
    text = decode_text(data, path)
    hint = _DELIMITER_LINE.match(text)
    delimiter, begin = (hint[1], hint.end()) if hint else (",", 0)
    lines = [*_csv_lines(text[begin:], delimiter, 1 if hint else 0, path)]
    if not lines:
        raise InputError("is empty", file=path, remedy="give a line of column names and a line a prompt")
    header = [name.strip() for name in lines[0][1]]
    _check_header(header, path)
    body = [(line, cells) for line, cells in lines[1:] if not all(map(is_blank, cells))]

    def place(row: int) -> str:
        return f"row {row + 1}, line {body[row][0]}"

    for row, (_, cells) in enumerate(body):
        if len(cells) != len(header):
            missing = len(cells) < len(header)
            raise InputError(
                f"has {len(cells)} cell{'s' * (len(cells) != 1)} under {len(header)} column names"
                f"{': cells are missing' if missing else ''}",
                file=path,
                field=place(row),
                remedy=f"write blank cells too, each with its {delimiter!r}"
                if missing
                else f"put a cell that holds {delimiter!r} in double quotes",
            )
    columns: dict[str, Sequence[Any]] = {name: [cells[at] for _, cells in body] for at, name in enumerate(header)}
    return _Table(columns, place)


def _csv_lines(text: str, delimiter: str, skipped: int, path: Path | str) -> Iterator[tuple[int, list[str]]]:
    """(line on which the row ends, cells) of every row that is not blank; `skipped` lines stand before `text`."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    try:
        for cells in reader:
            if cells:
                yield reader.line_num + skipped, cells
    except csv.Error as error:
        raise InputError(
            f"cannot be read as CSV ({error})",
            file=path,
            field=f"line {reader.line_num + skipped}",
            remedy=f"close its quotes, double a quote inside a quoted cell, and separate cells with {delimiter!r}",
        ) from None


def _read_parquet(data: bytes, path: Path | str) -> _Table:
    try:
        with pq.ParquetFile(pa.BufferReader(data)) as file:
            table = file.read()
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"cannot be read as parquet ({_first_line(error)})", file=path, remedy="write it anew"
        ) from None
    _check_header(table.column_names, path)
    columns = {name: _parquet_column(table.column(name), name, path) for name in table.column_names}
    kept = [row for row in range(table.num_rows) if not all(is_blank(column[row]) for column in columns.values())]
    return _Table(
        {name: [column[row] for row in kept] for name, column in columns.items()}, lambda row: f"row {kept[row] + 1}"
    )


def _parquet_column(column: pa.ChunkedArray, name: str, path: Path | str) -> list[Any]:
    if pa.types.is_nested(column.type):
        found = f"is of type {column.type}, and a prompt's columns hold single values"
    else:
        try:
            values: list[Any] = column.to_pylist()
            return values
        except (pa.ArrowException, ValueError) as error:  # nanoseconds, text that is not UTF-8
            found = f"cannot be read ({_first_line(error)})"
    raise InputError(found, file=path, field="columns", value=name, remedy="drop the column or save it as text")


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:120]
