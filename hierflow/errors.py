"""Errors a user can act on.

Everything a user can get wrong is reported as one :class:`InputError` with one sentence that names the
file, the field, the value and the remedy. The command line turns it into exit code 2. A store that does not answer is
a :class:`StorageError`, exit code 1.
"""

from __future__ import annotations

import errno
import json
import re
import socket
import ssl
from collections.abc import Collection, Iterator
from pathlib import Path

_SHOWN = 80
_SHOWN_CAUSE = 300
_PASSWORD = re.compile(r"(?<=://)[^/@\s]*@")

_SETTING_KINDS = (
    ImportError,
    NotImplementedError,
    PermissionError,
    RecursionError,
    TypeError,
    ValueError,
    ssl.SSLError,
)
_SETTING_NAMES = {
    "AuthenticationException",  # paramiko
    "BadHostKeyException",
    "CredentialUnavailableError",  # azure
    "DefaultCredentialsError",  # google
    "RefreshError",
    "NoCredentialsError",  # botocore
    "NoRegionError",
    "ParamValidationError",
    "PartialCredentialsError",
    "ProfileNotFound",
    "SSOTokenLoadError",
    "TokenRetrievalError",
    "UnauthorizedSSOTokenError",
}
"""Errors that the same settings raise every time, of packages that are not imported here."""
_OUTAGE_KINDS = (
    ConnectionError,
    TimeoutError,
    UnicodeError,
    json.JSONDecodeError,
    ssl.SSLEOFError,
    ssl.SSLZeroReturnError,
)
_SETTING_ERRNOS = {errno.EISDIR, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EROFS}
_SETTING_TEXTS = ("Forbidden", "Operation unsupported")  # gcsfs for status 403; sftp servers that cannot rename
_RETRYABLE_STATUS = {408, 409, 423, 425, 429}
_RETRYABLE_CODES = {"RequestTimeout", "SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded"}


class HierflowError(Exception):
    """Base class of every error hierflow raises on purpose."""


class InputError(HierflowError, ValueError):
    """The input is wrong, and nothing has been written.

    Args:
        problem: what is wrong, without a full stop ("is not a whole number of at least 1").
        file: the file that holds the fault, if it lies in one.
        line: the line of `file` that holds it, counted from 1, where that is known; it follows the file's name.
        field: the dotted path of the field in the document, or a column or line of the file.
        value: the offending value; long values are shortened.
        remedy: what to do instead, as an imperative without a full stop.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: str | Path | None = None,
        line: int | None = None,
        field: str | None = None,
        value: object = None,
        remedy: str | None = None,
    ) -> None:
        self.problem, self.file, self.line = problem, file, line
        self.field, self.value, self.remedy = field, value, remedy
        super().__init__(self._sentence())

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuilt, (self.problem, self.file, self.line, self.field, self.value, self.remedy)

    def located(self, file: str | Path, line: int | None = None) -> InputError:
        """The same error, placed in `file` (and there at `line`) unless it names a file already."""
        if self.file:
            return self
        return _rebuilt(self.problem, file, line, self.field, self.value, self.remedy)

    def _sentence(self) -> str:
        file = f"{self.file}:{self.line}" if self.file and self.line else self.file
        where = ": ".join(str(part) for part in (file, self.field) if part)
        what = self.problem if self.value is None else f"{_shown(self.value)} {self.problem}"
        sentence = (f"{where}: {what}" if where else what).replace("\n", " ")
        return f"{sentence}; {self.remedy}." if self.remedy else f"{sentence}."


class StorageError(HierflowError):
    """A store does not answer or has failed. The settings may be right, so the same work can succeed later.

    Args:
        problem, field, value, remedy: as in :class:`InputError`.
    """

    def __init__(self, problem: str, *, field: str, value: object, remedy: str = "try again later") -> None:
        self.problem, self.field, self.value, self.remedy = problem, field, value, remedy
        super().__init__(InputError(problem, field=field, value=value, remedy=remedy)._sentence())

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuilt_storage_error, (self.problem, self.field, self.value, self.remedy)


class RunError(HierflowError):
    """A run failed after it had started; what was finished before is kept."""


def storage_error(
    error: BaseException, *, field: str, url: str, endpoint: str = "", secrets: Collection[str] = ()
) -> InputError | StorageError:
    """The error to raise for what an fsspec file system has raised: ``raise storage_error(...) from error``.

    Knows the errors of botocore, gcsfs, azure, paramiko and aiohttp by their status codes and class names, and
    imports none of these packages. The caller handles FileNotFoundError itself: it may mean that a file is absent.

    Args:
        error: what was raised. Its causes are looked at, too.
        field: the field of the document that names the place, such as `storage.path` or `prompts.file`.
        url: the field's value. A password in it is not shown.
        endpoint: the server's address, where that is known and `url` does not name it.
        secrets: texts that must not be shown.

    Returns:
        An InputError if the same settings will always fail (credentials, permission, bucket, host name, region,
        missing package), a StorageError if they may succeed later (refused connection, time-out, server error).
    """
    chain = list(_causes(error))
    verdict, decisive = next(
        ((is_setting, one) for one in chain if (is_setting := _is_setting(one)) is not None), (False, error)
    )
    texts = dict.fromkeys(filter(None, (_cause_text(error), getattr(decisive, "strerror", None))))
    cause = ": ".join(texts) or type(error).__name__
    for secret in secrets:
        cause = cause.replace(secret, "***")
    cause = " ".join(without_password(cause).split())
    cause = cause if len(cause) <= _SHOWN_CAUSE else f"{cause[:_SHOWN_CAUSE]}…"
    where = f"{without_password(endpoint)}: " if endpoint and endpoint not in cause else ""
    problem, value = f"cannot be used ({where}{cause})", without_password(url)
    if not verdict:
        return StorageError(problem, field=field, value=value)
    remedy = "check the address, the credentials and their permissions"
    return InputError(problem, field=field, value=value, remedy=remedy)


def without_password(url: str) -> str:
    """`url`, or a text with URLs, without user names and passwords."""
    return _PASSWORD.sub("", url)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None and not isinstance(error, FileNotFoundError):  # that was handled before
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _cause_text(error: BaseException) -> str:
    """The server's own words, and its error code."""
    if isinstance(error, RecursionError):  # botocore, where a server redirects to another region again and again
        return "PermanentRedirect: the bucket is in another region"
    text = getattr(error, "strerror", None) or str(error)
    code = _error_code(error) or next(filter(None, map(_error_code, _causes(error.__cause__))), "")
    return f"{code}: {text}" if code and text and code not in text else text or code


def _error_code(error: BaseException) -> str:
    """The code of an S3 API's answer, such as `AccessDenied`, or that of Azure."""
    response = getattr(error, "response", None)
    found = (
        response.get("Error", {}).get("Code") if isinstance(response, dict) else getattr(error, "error_code", None)
    )
    return str(found or "")


def _status(error: BaseException) -> int:
    """The HTTP status of a server's answer; 0 where there is none."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
    found = next((getattr(error, name) for name in ("status_code", "status", "code") if hasattr(error, name)), 0)
    return int(found) if str(found).isdigit() else 0


def _is_setting(error: BaseException) -> bool | None:
    """Whether the same settings will always fail so; None where this error alone does not tell."""
    status = _status(error)
    if status:
        is_retryable = status >= 500 or status in _RETRYABLE_STATUS or _error_code(error) in _RETRYABLE_CODES
        return not is_retryable if status >= 300 else None
    if isinstance(error, socket.gaierror):
        return error.errno != socket.EAI_AGAIN
    if isinstance(error, _OUTAGE_KINDS):
        return False
    if isinstance(error, _SETTING_KINDS) or {kind.__name__ for kind in type(error).__mro__} & _SETTING_NAMES:
        return True
    if isinstance(error, OSError) and str(error).startswith(_SETTING_TEXTS):
        return True
    return True if isinstance(error, OSError) and error.errno in _SETTING_ERRNOS else None


def _rebuilt_storage_error(problem: str, field: str, value: object, remedy: str) -> StorageError:
    return StorageError(problem, field=field, value=value, remedy=remedy)


def _rebuilt(
    problem: str, file: str | Path | None, line: int | None, field: str | None, value: object, remedy: str | None
) -> InputError:
    return InputError(problem, file=file, line=line, field=field, value=value, remedy=remedy)


def _shown(value: object) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN // 2]}…{text[1 - _SHOWN // 2 :]}"
