"""Files of prompts, on this machine or behind a URL: found, read, decoded, and split into lines."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from hierflow.errors import InputError, storage_error, without_password
from hierflow.hashing import bytes_digest, digest
from hierflow.prompts.rows import SourceRows

_LINE_END = re.compile(r"\r\n|\r|\n")  # str.splitlines would also split at characters a prompt may hold
_UTF8_REMEDY = "save it as plain text in UTF-8"
_STAMPS = (
    "ETag",
    "etag",
    "Content-MD5",
    "Digest",
    "Last-Modified",
    "LastModified",
    "last_modified",
    "mtime",
    "created",
)
"""What file systems of fsspec call a file's checksum, or the time of its last change."""


class MissingFileError(InputError):
    """There is no such file of prompts (yet)."""


@dataclass(frozen=True)
class PromptFile:
    """A file of prompts, on this machine or behind a URL that fsspec opens.

    Attributes:
        location: its path, or its URL.
        written: what the document says.
        field: of the document.
    """

    location: Path | str
    written: str
    field: str

    @property
    def name(self) -> Path | str:
        """Its path, or its URL without a password, for errors."""
        return self.location if isinstance(self.location, Path) else without_password(self.location)

    @property
    def suffix(self) -> str:
        """The suffix of its name in lower case, such as ".csv"."""
        name = str(self.location)
        if isinstance(self.location, str):
            name = next(part for part in name.split("::") if "://" in part)  # as in zip://x.csv::s3://bucket/x.zip
            name = name.partition("?")[0] if name.startswith("http") else name
        return PurePosixPath(name).suffix.lower()

    def read(self) -> bytes:
        """Its bytes.

        Raises:
            MissingFileError: there is none.
            InputError: it cannot be read.
            StorageError: the server that holds it does not answer.
        """
        if isinstance(self.location, Path):
            try:
                return self.location.read_bytes()
            except OSError as error:
                raise InputError(
                    f"cannot be read ({error.strerror})", file=self.location, remedy="check its permissions"
                ) from None
        with self._file_system() as (fs, path):
            return bytes(fs.cat_file(path))

    def version(self) -> str:
        """A hash that changes with its content: of a checksum or a time that the server gives, else of all bytes.

        Raises:
            InputError, StorageError: as :meth:`read`.
        """
        if isinstance(self.location, Path):
            return bytes_digest(self.read())
        with self._file_system() as (fs, path):
            fs.invalidate_cache()  # packages for object stores remember listings
            about = fs.info(path)
        stamps = [str(about[name]) for name in _STAMPS if about.get(name)]
        return digest(self.location, about.get("size"), stamps) if stamps else bytes_digest(self.read())

    @contextmanager
    def _file_system(self) -> Iterator[tuple[Any, str]]:
        """The file system of the URL and the path there; what goes wrong with them is one sentence."""
        import fsspec

        url = str(self.location)
        try:
            yield fsspec.core.url_to_fs(url)
        except (FileNotFoundError, IsADirectoryError) as error:
            is_missing = isinstance(error, FileNotFoundError)
            raise (MissingFileError if is_missing else InputError)(
                "does not exist" if is_missing else "is a folder",
                field=self.field,
                value=without_password(url),
                remedy="give the URL of a file",
            ) from error
        except Exception as error:  # the packages for object stores raise dozens of kinds
            raise storage_error(error, field=self.field, url=url) from error


def find_file(written: str, base: Path, field: str) -> PromptFile:
    """The file that a document names: a URL, or a path that is relative to the document's folder `base`.

    Raises:
        InputError: there is no such file on this machine, or it is a folder.
    """
    if "://" in written:
        return PromptFile(written, without_password(written), field)
    path = base / os.path.expanduser(written)
    kind: type[InputError] = InputError
    try:
        if path.is_file():
            return PromptFile(path, written, field)
        problem = "is a folder"
        if not path.is_dir():
            kind, problem = MissingFileError, f"does not exist (looked for {path.absolute()})"
    except (OSError, ValueError) as error:  # a name the file system cannot hold
        problem = f"is not a path ({error})"
    raise kind(
        problem, field=field, value=written, remedy="give a file's path, relative to the document's folder, or a URL"
    )


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


def read_lines(file: PromptFile) -> SourceRows:
    """One prompt a line; blank lines are skipped."""
    text = decode_text(file.read(), file.name)
    lines = [(number, line) for number, line in enumerate(_LINE_END.split(text), start=1) if line.strip()]
    return SourceRows(
        texts=[line for _, line in lines], place=lambda row: f"line {lines[row][0]}", file=file.location
    )
