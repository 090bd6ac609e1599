"""Bytes in and out of any fsspec location, never half written."""

from __future__ import annotations

import errno
import os
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from hierflow.errors import HierflowError, InputError
from hierflow.hashing import bytes_digest

DAMAGED = "damaged"
"""The folder of what was found damaged and cannot be made again."""
_DRAFT = re.compile(r"\..+\.[0-9a-f]{32}")
"""The name of a file that is being written on a local disk."""
_ABANDONED = 3600.0
"""Seconds after which a file that is being written counts as never ended."""


class DamagedFileError(HierflowError):
    """A stored file is torn, truncated, altered or of another kind; what it held must be made again."""


class Storage:
    """A folder on a local disk, in memory or in an object store.

    Paths are relative, with forward slashes, and cannot leave the folder.

    Args:
        url: a local path or any fsspec URL, such as `memory://demo` or `s3://bucket/prefix`.

    Raises:
        InputError: fsspec does not know the URL's protocol, or lacks the package that speaks it.
    """

    def __init__(self, url: str | Path) -> None:
        try:
            self._fs, root = fsspec.core.url_to_fs(str(url))
        except (ValueError, ImportError) as error:
            raise InputError(
                f"cannot be opened ({error})",
                field="storage.path",
                value=str(url),
                remedy="give a folder or a URL that fsspec can open",
            ) from error
        self._root = str(root).rstrip("/")
        self._local = isinstance(self._fs, LocalFileSystem)

    @property
    def is_local(self) -> bool:
        """Whether the files lie on this machine's disk."""
        return self._local

    def check(self, *, writes: bool) -> None:
        """See whether the folder is one or could be made, without making it; only a local disk can tell.

        Args:
            writes: whether something is to be written there.

        Raises:
            InputError: the location, or the nearest thing that exists above it, is a file, or is not writable though
                something is to be written.
        """
        if not self._local:
            return
        nearest = Path(self._root)
        while not nearest.exists() and nearest != nearest.parent:
            nearest = nearest.parent
        if not nearest.is_dir():
            raise InputError(
                f"lies in a file ({nearest})" if str(nearest) != self._root else "is a file",
                field="storage.path",
                value=self._root,
                remedy="give a folder that can be written to",
            )
        if writes and not os.access(nearest, os.W_OK | os.X_OK):
            raise InputError(
                "is not writable" if str(nearest) == self._root else f"cannot be made: {nearest} is not writable",
                field="storage.path",
                value=self._root,
                remedy="give a folder that can be written to",
            )

    def prepare(self) -> None:
        """Make the folder.

        Raises:
            InputError: the location is a file or cannot be written to.
        """
        try:
            self._fs.makedirs(self._root, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"cannot be used as a folder ({error.strerror or error})",
                field="storage.path",
                value=self._root,
                remedy="give a folder that can be written to",
            ) from error
        if self._local and not os.access(self._root, os.W_OK | os.X_OK):
            raise InputError(
                "is not writable", field="storage.path", value=self._root, remedy="give a folder that is"
            )

    def child(self, path: str) -> Storage:
        """The same location, one folder down."""
        child = object.__new__(Storage)
        child._fs, child._local, child._root = self._fs, self._local, self._full(path)
        return child

    def url(self, path: str = "") -> str:
        """The absolute path, or the URL, of `path`."""
        full = self._full(path) if path else self._root
        return full if self._local else str(self._fs.unstrip_protocol(full))

    def read(self, path: str, end: int | None = None) -> bytes:
        """The bytes at `path`, the first `end` of them or all.

        Raises:
            FileNotFoundError: nothing lies there.
        """
        try:
            return bytes(self._fs.cat_file(self._full(path), end=end))
        except NotADirectoryError as error:  # a file lies where a folder should; `prepare` says so
            raise FileNotFoundError(path) from error

    def read_all(self, paths: Sequence[str]) -> dict[str, bytes]:
        """The bytes of some files by their paths, many at once where the place can; what is gone is left out."""
        found = self._fs.cat_ranges([self._full(path) for path in paths], None, None, on_error="return")
        there = {}
        for path, data in zip(paths, found, strict=True):
            if isinstance(data, FileNotFoundError):
                continue
            if isinstance(data, BaseException):
                raise data
            there[path] = bytes(data)
        return there

    def write(self, path: str, data: bytes, *, durable: bool = False) -> None:
        """Put `data` at `path` in one piece: a reader sees the old bytes or the new ones, never a mixture.

        Args:
            path: where.
            data: what.
            durable: wait until a local disk has it, and the folder has its name. Files that carry a checksum and can
                be made again do without: a power cut then costs a recomputation, not a wrong result.
        """
        full = self._full(path)
        if self._local:
            _write_local(full, data, durable)
        else:
            self._fs.pipe_file(full, data)

    def put_aside(self, path: str) -> str:
        """Copy the file at `path`, which is about to be overwritten, below `damaged/`; returns the copy's path.

        Its name is the same for the same bytes.
        """
        data, name = self.read(path), PurePosixPath(path)
        aside = f"{DAMAGED}/{name.stem}-{bytes_digest(data)[:12]}{name.suffix}"
        self.write(aside, data, durable=True)
        return aside

    def exists(self, path: str) -> bool:
        """Whether something lies at `path` now."""
        return self._is_there(self._full(path))

    def list(self, folder: str) -> list[str]:
        """The paths of all files below `folder`, sorted; empty if there is no such folder."""
        return sorted(self.sizes(folder))

    def sizes(self, folder: str | None = None) -> dict[str, int]:
        """The bytes of every file below `folder`, by default of all, by path; empty if there is no such folder."""
        found = self._find(folder)
        return {path: _size(about) for path, about in found.items() if not PurePosixPath(path).name.startswith(".")}

    def drafts(self) -> dict[str, int]:
        """What writes that never ended have left on a local disk, with its bytes; nothing reads it.

        A write of the last hour may be going on.
        """
        drafts = {path: about for path, about in self._find().items() if _DRAFT.fullmatch(PurePosixPath(path).name)}
        abandoned = time.time() - _ABANDONED
        return {path: _size(about) for path, about in drafts.items() if about["mtime"] < abandoned}

    def delete(self, path: str) -> None:
        """Remove the file at `path` if it is there."""
        with suppress(FileNotFoundError):  # another process may do so at the same time
            self._fs.rm_file(self._full(path))

    def remove(self) -> None:
        """Delete the folder and everything below it."""
        if self._is_there(self._root):
            self._fs.rm(self._root, recursive=True)

    def _is_there(self, full: str) -> bool:
        self._fs.invalidate_cache()
        return bool(self._fs.exists(full))

    def _find(self, folder: str | None = None) -> dict[str, dict[str, Any]]:
        self._fs.invalidate_cache()  # packages for object stores remember listings; other processes write there, too
        found: dict[str, dict[str, Any]] = self._fs.find(
            self._root if folder is None else self._full(folder), detail=True
        )
        return {str(name)[len(self._root) + 1 :]: about for name, about in found.items()}

    def _full(self, path: str) -> str:
        parts = PurePosixPath(path).parts
        if not parts or ".." in parts or path.startswith("/") or "\\" in path or "\0" in path:
            raise ValueError(f"{path!r} is not a path inside the store")
        return "/".join((self._root, *parts))


def _size(about: Mapping[str, Any]) -> int:
    return int(about["size"] or 0)


def _write_local(full: str, data: bytes, durable: bool) -> None:
    folder, name = os.path.split(full)
    os.makedirs(folder, exist_ok=True)
    draft = os.path.join(folder, f".{name}.{uuid.uuid4().hex}")
    try:
        with open(draft, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(draft, full)
        if durable:
            _flush(folder)
    except BaseException:
        if os.path.exists(draft):
            os.unlink(draft)
        raise


def _flush(folder: str) -> None:
    """Wait until the disk has the names in a folder."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno not in (errno.EBADF, errno.EINVAL):  # file systems that cannot do so
            raise
    finally:
        os.close(opened)
