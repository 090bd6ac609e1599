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
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", file=path, remedy="check its permissions") from None
    return decode_text(data, path)


def decode_text(data: bytes, file: Path | str) -> str:
    """UTF-8 bytes as text, without a byte order mark.

    Args:
        data: the bytes.
        file: that holds them, for errors.

    Raises:
        InputError: they are UTF-16 or binary, or not UTF-8 (the line is named).
    """
    if _is_utf16(data):
        raise InputError("is UTF-16 text, and UTF-8 is expected", file=file, remedy=_UTF8_REMEDY)
    data = data.removeprefix(codecs.BOM_UTF8)
    if b"\0" in data:
        raise InputError("is a binary file, not text", file=file, remedy=_UTF8_REMEDY)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = len(_LINE_END.split(data[: error.start].decode()))
        raise InputError(
            "is not UTF-8",
            file=file,
            line=line,
            value=data[error.start : error.start + 1],
            remedy=_UTF8_REMEDY,
        ) from None


def _is_utf16(data: bytes) -> bool:
    """Whether bytes are UTF-16 text, with or without a byte order mark."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    is_big_endian, is_little_endian = 0 in data[::2], 0 in data[1::2]  # of Latin characters one byte is zero
    if is_big_endian == is_little_endian:
        return False
    text = data.decode("utf-16-be" if is_big_endian else "utf-16-le", errors="replace")
    return "\ufffd" not in text and all(character.isprintable() or character.isspace() for character in text)


def read_lines(path: Path) -> SourceRows:
    """One prompt a line; blank lines are skipped."""
    lines = [(number, line) for number, line in enumerate(_LINE_END.split(read_text(path)), start=1) if line.strip()]
    return SourceRows(texts=[line for _, line in lines], place=lambda row: f"line {lines[row][0]}", file=path)
