"""Tables of prompts: CSV, in which everything is text, and parquet, which keeps its types."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hierflow.errors import InputError
from hierflow.prompts.prompt_set import RESERVED_COLUMNS
from hierflow.prompts.rows import SourceRows, listed
from hierflow.prompts.settings import SETTINGS
from hierflow.prompts.text_files import read_text


@dataclass(frozen=True)
class _Table:
    """Columns by name, and the place of a row as an error names it."""

    columns: dict[str, Sequence[Any]]
    place: Callable[[int], str]


def read_table(path: Path, written: str, prompt_column: str, id_column: str | None) -> SourceRows:
    """The rows of a `.csv` or `.parquet` file; columns other than the prompts and ids are kept.

    Args:
        path: the file.
        written: the path as the document has it, for errors.

    Raises:
        InputError: the suffix is another, the file cannot be read, a column is missing, blank, of the wrong
            type or named like one of the manifest's, or an id is missing in a row.
    """
    readers = {".csv": _read_csv, ".parquet": _read_parquet}
    if path.suffix.lower() not in readers:
        raise InputError(
            "is neither .csv nor .parquet",
            field="prompts.table",
            value=written,
            remedy="save the table in one of these formats",
        )
    if id_column == prompt_column:
        raise InputError(
            "is the prompt column too", field="prompts.id_column", value=id_column, remedy="name another"
        )
    table = readers[path.suffix.lower()](path)
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
    if len(columns) == 1 and any(sign in columns[0] for sign in ";\t|"):
        return f"separate its cells by commas (it has one column, {columns[0]!r})"
    return f"name one of its columns ({listed(columns)})"


def _texts(table: _Table, column: str, path: Path) -> list[str]:
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


def _ids(table: _Table, column: str, path: Path) -> list[str]:
    """The ids as text; whole numbers are fine, other types have no one spelling."""
    values = table.columns[column]
    for row, value in enumerate(values):
        blank = value is None or (isinstance(value, str) and not value.strip())
        if blank or isinstance(value, bool) or not isinstance(value, str | int):
            raise InputError(
                "is a missing id" if blank else "is neither text nor a whole number",
                file=path,
                field=f"{table.place(row)}, column {column}",
                value="" if value is None else value,
                remedy="give every row an id" if blank else "save the ids as text",
            )
    return [str(value) for value in values]


def _check_names(others: dict[str, Sequence[Any]], path: Path) -> None:
    for name in others:
        if name in RESERVED_COLUMNS.difference(SETTINGS):
            raise InputError(
                "is a column of the manifest too",
                file=path,
                value=name,
                remedy="rename or drop the column, or name it as prompt_column or id_column",
            )


def _check_header(names: list[str], path: Path) -> None:
    for at, name in enumerate(names):
        if not name:
            raise InputError("has no name", file=path, field=f"column {at + 1}", remedy="name the column or drop it")
        if name in names[:at]:
            raise InputError("names two columns", file=path, value=name, remedy="rename one of them")


def _read_csv(path: Path) -> _Table:
    lines = list(_csv_lines(read_text(path), path))
    if not lines:
        raise InputError("is empty", file=path, remedy="give a line of column names and a line a prompt")
    header = [name.strip() for name in lines[0][1]]
    _check_header(header, path)
    body = lines[1:]

    def place(row: int) -> str:
        return f"row {row + 1}, line {body[row][0]}"

    for row, (_, cells) in enumerate(body):
        if len(cells) != len(header):
            raise InputError(
                f"has {len(cells)} cells under {len(header)} column names",
                file=path,
                field=place(row),
                remedy="put a cell that holds a comma in double quotes",
            )
    columns: dict[str, Sequence[Any]] = {name: [cells[at] for _, cells in body] for at, name in enumerate(header)}
    return _Table(columns, place)


def _csv_lines(text: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line on which the row ends, cells) of every row that is not blank."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        raise InputError(
            f"cannot be read as CSV ({error})",
            file=path,
            field=f"line {reader.line_num}",
            remedy="close its quotes, double a quote inside a quoted cell, and separate cells with commas",
        ) from None


def _read_parquet(path: Path) -> _Table:
    # ParquetFile and not read_table: that one adds columns for folders named key=value on the way.
    try:
        with pq.ParquetFile(path) as file:
            table = file.read()
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"cannot be read as parquet ({_first_line(error)})", file=path, remedy="write it anew"
        ) from None
    _check_header(table.column_names, path)
    columns: dict[str, Sequence[Any]] = {
        name: _parquet_column(table.column(name), name, path) for name in table.column_names
    }
    return _Table(columns, lambda row: f"row {row + 1}")


def _parquet_column(column: pa.ChunkedArray, name: str, path: Path) -> list[Any]:
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
