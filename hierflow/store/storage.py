"""Bytes in and out of any fsspec location, never half written."""

from __future__ import annotations

import copy
import errno
import os
import re
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import fsspec
from fsspec import AbstractFileSystem
from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.local import LocalFileSystem

from hierflow.errors import HierflowError, InputError, storage_error, without_password
from hierflow.hashing import bytes_digest

DAMAGED = "damaged"
"""The folder of what was found damaged and cannot be made again."""
_DRAFT = re.compile(r"\..+\.[0-9a-f]{32}")
"""The name of a file that is being written."""
_ABANDONED = 3600.0
"""Seconds after which a file that is being written counts as never ended."""

_OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oss", "oci"}
"""Protocols of stores that replace an object in one step."""
_RENAMING = {"sftp", "ssh"}
"""Protocols whose rename replaces a file in one step."""
_ATOMIC = {"file", "local", "memory"} | _OBJECT_STORES | _RENAMING
_SECRET = re.compile(r"secret|token|password|passphrase|key|credential|connection_string|sas", re.IGNORECASE)
"""Names of fsspec options that hold secrets."""

_CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
    ".png": "image/png",
    ".webp": "image/webp",
}
_IMMUTABLE, _REVALIDATE = "max-age=31536000, immutable", "no-cache"


def _azure_headers(content_type: str, cache_control: str) -> dict[str, Any]:
    from azure.storage.blob import ContentSettings  # adlfs depends on it

    return {"content_settings": ContentSettings(content_type=content_type, cache_control=cache_control)}


_HEADERS: Mapping[str, Callable[[str, str], dict[str, Any]]] = {
    "s3": lambda content_type, cache_control: {"ContentType": content_type, "CacheControl": cache_control},
    "gs": lambda content_type, cache_control: {
        "content_type": content_type,
        "fixed_key_metadata": {"cache_control": cache_control},
    },
    "abfs": _azure_headers,
}
"""What `pipe_file` of s3fs, gcsfs and adlfs takes for the headers of an object."""


class DamagedFileError(HierflowError):
    """A stored file is torn, truncated, altered or of another kind; what it held must be made again."""


class Storage:
    """A folder on a local disk, in memory, in an object store or on an SFTP server.

    Paths are relative, with forward slashes, and cannot leave the folder. Every error of the file system, except
    FileNotFoundError, is raised as an InputError (wrong settings) or a StorageError (an outage).

    Args:
        url: a local path or any fsspec URL, such as `memory://demo` or `s3://bucket/prefix`.
        options: keyword arguments of the fsspec file system.

    Raises:
        InputError: fsspec does not know the URL's protocol, or lacks the package that speaks it, or the protocol
            cannot replace a file in one step.
    """

    def __init__(self, url: str | Path, options: Mapping[str, Any] = MappingProxyType({})) -> None:
        self._url = without_password(str(url)).rstrip("/")
        self._secrets = {*_secrets(options), *filter(None, [_password(str(url))])}
        self._endpoint = str(options.get("endpoint_url") or "")
        self._fs: Any = None
        self._top = self
        self._local = self._is_object_store = False
        if (protocol := fsspec.utils.get_protocol(str(url))) in fsspec.available_protocols():
            self._refuse_unless_atomic({protocol})  # without connecting to it first
        with self._converted_errors():
            try:
                self._fs, root = fsspec.core.url_to_fs(str(url), **options)
            except (ValueError, ImportError) as error:
                raise InputError(
                    f"cannot be opened ({error})",
                    field="storage.path",
                    value=self._url,
                    remedy="give a folder or a URL that fsspec can open",
                ) from error
        self._root = str(root).rstrip("/")
        self._local = isinstance(self._fs, LocalFileSystem)
        protocols = {self._fs.protocol} if isinstance(self._fs.protocol, str) else set(self._fs.protocol)
        self._is_object_store = bool(protocols & _OBJECT_STORES)
        self._renames = bool(protocols & _RENAMING)
        self._headers = next((_HEADERS[name] for name in _HEADERS.keys() & protocols), None)
        self._refuse_unless_atomic(protocols)
        self._has_bucket = not self._is_object_store

    def _refuse_unless_atomic(self, protocols: Collection[str]) -> None:
        if not _ATOMIC.intersection(protocols):
            raise InputError(
                f"cannot be a store, as {sorted(protocols)[0]} cannot replace a file in one step",
                field="storage.path",
                value=self._url,
                remedy="use a folder, an object store (s3://, gs://, abfs://) or sftp://",
            )

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
        """Make the folder. Object stores have none, and buckets are never made.

        Raises:
            InputError: the location is a file or cannot be written to.
        """
        if self._is_object_store:
            return
        with self._converted_errors():
            try:
                self._fs.makedirs(self._root, exist_ok=True)
            except (FileExistsError, FileNotFoundError, NotADirectoryError) as error:
                raise InputError(
                    f"cannot be used as a folder ({error.strerror or error})",
                    field="storage.path",
                    value=self._shown,
                    remedy="give a folder that can be written to",
                ) from error
        if self._local and not os.access(self._root, os.W_OK | os.X_OK):
            raise InputError(
                "is not writable", field="storage.path", value=self._root, remedy="give a folder that is"
            )

    def child(self, path: str) -> Storage:
        """The same location, one folder down."""
        child = copy.copy(self)
        child._root, child._url = self._full(path), f"{self._url}/{path}"
        return child

    def url(self, path: str = "") -> str:
        """The absolute path, or the URL without its password, of `path`."""
        full = self._full(path) if path else self._root
        return full if self._local else self._url + full.removeprefix(self._root)

    def read(self, path: str, end: int | None = None) -> bytes:
        """The bytes at `path`, the first `end` of them or all.

        Raises:
            FileNotFoundError: nothing lies there.
        """
        full = self._full(path)
        with self._converted_errors():
            try:
                return bytes(self._fs.cat_file(full, end=end))
            except NotADirectoryError as error:  # a file lies where a folder should; `prepare` says so
                raise FileNotFoundError(path) from error

    def read_all(self, paths: Sequence[str]) -> dict[str, bytes]:
        """The bytes of some files by their paths, many at once where the place can; what is gone is left out."""
        full = [self._full(path) for path in paths]
        there = {}
        with self._converted_errors():
            found = self._fs.cat_ranges(full, None, None, on_error="return")
        for path, data in zip(paths, found, strict=True):
            with suppress(FileNotFoundError), self._converted_errors():
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
        with self._converted_errors():
            if self._local:
                _write_local(full, data, durable)
            elif self._renames:
                _write_and_rename(self._fs, full, data)
            else:
                self._fs.pipe_file(full, data, **self._object_headers(path))

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
        full = self._full(path)
        with self._converted_errors():
            return self._is_there(full)

    def list(self, folder: str) -> list[str]:
        """The paths of all files below `folder`, sorted; empty if there is no such folder."""
        return sorted(self.sizes(folder))

    def sizes(self, folder: str | None = None) -> dict[str, int]:
        """The bytes of every file below `folder`, by default of all, by path; empty if there is no such folder."""
        found = self._find(folder)
        return {path: _size(about) for path, about in found.items() if not PurePosixPath(path).name.startswith(".")}

    def drafts(self) -> dict[str, int]:
        """Temporary files of writes that never ended, with their bytes; nothing reads them.

        A write of the last hour may be going on.
        """
        drafts = {path: about for path, about in self._find().items() if _DRAFT.fullmatch(PurePosixPath(path).name)}
        abandoned = time.time() - _ABANDONED
        return {path: _size(about) for path, about in drafts.items() if _modified(about) < abandoned}

    def delete(self, path: str) -> None:
        """Remove the file at `path` if it is there."""
        full = self._full(path)
        with suppress(FileNotFoundError), self._converted_errors():  # another process may do so at the same time
            self._fs.rm_file(full)

    def remove(self) -> None:
        """Delete the folder and everything below it."""
        with self._converted_errors():
            if self._is_there(self._root):
                self._fs.rm(self._root, recursive=True)

    def _is_there(self, full: str) -> bool:
        self._fs.invalidate_cache()
        try:
            self._fs.info(full)  # fsspec's `exists` takes every error for an absent file
        except (FileNotFoundError, NotADirectoryError):
            self._check_bucket()
            return False
        return True

    def _find(self, folder: str | None = None) -> dict[str, dict[str, Any]]:
        full = self._root if folder is None else self._full(folder)
        found: dict[str, dict[str, Any]] = {}
        with suppress(FileNotFoundError), self._converted_errors():
            self._fs.invalidate_cache()  # object stores' packages remember listings; other processes write there, too
            found = self._fs.find(full, detail=True, **_strict_walk(self._fs))
            if not found:
                self._check_bucket()
        return {str(name)[len(self._root) + 1 :]: about for name, about in found.items()}

    @contextmanager
    def _converted_errors(self) -> Iterator[None]:
        """Raises what the file system raises as an InputError or a StorageError; lets FileNotFoundError through."""
        try:
            yield
        except (HierflowError, MemoryError):
            raise
        except FileNotFoundError:
            if self._fs is not None:
                self._check_bucket()
            raise
        except Exception as error:
            raise self._error(error) from error

    def _error(self, error: Exception) -> HierflowError:
        if self._fs is not None and not self._local:
            self._fs.clear_instance_cache()  # whoever opens the store next gets a new connection
        if self._is_object_store and isinstance(error, OSError):
            error = self._explained(error)
        client = getattr(getattr(self._fs, "_s3", None), "meta", None)
        endpoint = getattr(client, "endpoint_url", None) or getattr(self._fs, "account_url", None) or self._endpoint
        return storage_error(
            error, field="storage.path", url=self._shown, endpoint=str(endpoint), secrets=self._secrets
        )

    def _explained(self, error: Exception) -> Exception:
        """The same refusal with the server's words: an answer to a HEAD request has none, that to a listing has."""
        if not isinstance(error.__cause__, Exception) or not _is_bare_status(error.__cause__):
            return error
        try:
            self._fs.ls(self._root, refresh=True)
        except FileNotFoundError:
            return error
        except Exception as explained:
            return explained
        return error

    @property
    def _shown(self) -> str:
        return self._root if self._local else self._top._url

    def _check_bucket(self) -> None:
        """Raise if the bucket does not exist. Asked once: many stores answer alike to a missing key and bucket."""
        if self._top._has_bucket:
            return
        bucket = self._root.lstrip("/").split("/")[0]
        try:
            self._fs.info(bucket)
        except FileNotFoundError as error:
            if not _is_forbidden(error):
                raise InputError(
                    f"names the bucket {bucket}, which does not exist",
                    field="storage.path",
                    value=self._shown,
                    remedy="create the bucket, or correct storage.path",
                ) from error
        except Exception as error:
            if not isinstance(converted := self._error(error), InputError):
                raise converted from error
        self._top._has_bucket = True

    def _object_headers(self, path: str) -> dict[str, Any]:
        """Content type and caching, for browsers: an image's name never gets another content."""
        if self._headers is None:
            return {}
        content_type = _CONTENT_TYPES.get(PurePosixPath(path).suffix, "application/octet-stream")
        return self._headers(content_type, _IMMUTABLE if content_type.startswith("image/") else _REVALIDATE)

    def _full(self, path: str) -> str:
        parts = PurePosixPath(path).parts
        if not parts or ".." in parts or path.startswith("/") or "\\" in path or "\0" in path:
            raise ValueError(f"{path!r} is not a path inside the store")
        return "/".join((self._root, *parts))


def _size(about: Mapping[str, Any]) -> int:
    return int(about["size"] or 0)


def _modified(about: Mapping[str, Any]) -> float:
    when = about["mtime"]
    return float(when.timestamp() if isinstance(when, datetime) else when)


def _secrets(options: Mapping[str, Any]) -> Iterator[str]:
    """The texts among fsspec options that must not be shown."""
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from _secrets(value)
        elif isinstance(value, str) and value and _SECRET.search(name):
            yield value


def _password(url: str) -> str | None:
    try:
        return urlsplit(url).password
    except ValueError:  # not a URL
        return None


def _is_bare_status(error: Exception) -> bool:
    """Whether botocore has only a status between 400 and 499."""
    response = getattr(error, "response", None)
    return isinstance(response, dict) and str(response.get("Error", {}).get("Code")).startswith("4")


def _is_forbidden(error: BaseException) -> bool:
    """Whether gcsfs had no right to ask for the bucket, and found it empty then."""
    cause = error.__context__
    return isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError)


def _strict_walk(fs: AbstractFileSystem) -> dict[str, Any]:
    """Arguments that keep fsspec's own `find` from leaving out folders that it cannot list."""
    kind = type(fs)
    inherits = kind._find is AsyncFileSystem._find if fs.async_impl else kind.find is AbstractFileSystem.find
    return {"on_error": _raise_unless_absent} if inherits else {}


def _raise_unless_absent(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


def _write_and_rename(fs: AbstractFileSystem, full: str, data: bytes) -> None:
    folder, name = full.rsplit("/", 1)
    draft = f"{folder}/.{name}.{uuid.uuid4().hex}"
    try:
        try:
            fs.pipe_file(draft, data)
        except FileNotFoundError:
            fs.makedirs(folder, exist_ok=True)
            fs.pipe_file(draft, data)
        fs.mv(draft, full)
    except BaseException:
        with suppress(Exception):
            fs.rm_file(draft)
        raise


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
