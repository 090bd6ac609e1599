"""Files of text: found, decoded, and split into lines, with every fault named by its line."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from hierflow.errors import InputError
from hierflow.prompts.rows import SourceRows

_LINE_END = re.compile(r"\r\n|\r|\n")  # str.splitlines would also split at characters a prompt may hold
_UTF8_REMEDY = "save it as plain text in UTF-8"


def existing_file(written: str, base: Path, field: str) -> Path:
    """The path `written` in a document, relative to the document's folder `base`.

    Raises:
        InputError: there is no such file, or it is a folder.
    """
    path = base / written
    try:
        if path.is_file():
            return path
        found = "is a folder" if path.is_dir() else f"does not exist (looked for {path.absolute()})"
    except (OSError, ValueError) as error:  # a name the file system cannot hold
        found = f"is not a path ({error})"
    raise InputError(
        found, field=field, value=written, remedy="give a file's path, relative to the document's folder"
    )


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, without a byte order mark.

    Raises:
        InputError: it cannot be read, holds NUL bytes, or is not UTF-8 (the line is named).
    """
    try:
        data = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", file=path, remedy="check its permissions") from None
    if b"\0" in data:
        raise InputError("is a binary file, not text", file=path, remedy=_UTF8_REMEDY)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = len(_LINE_END.split(data[: error.start].decode()))
        raise InputError(
            "is not UTF-8",
            file=path,
            field=f"line {line}",
            value=data[error.start : error.start + 1],
            remedy=_UTF8_REMEDY,
        ) from None


def read_lines(path: Path) -> SourceRows:
    """One prompt a line; blank lines are skipped."""
    lines = [(number, line) for number, line in enumerate(_LINE_END.split(read_text(path)), start=1) if line.strip()]
    return SourceRows(texts=[line for _, line in lines], place=lambda row: f"line {lines[row][0]}", file=path)
