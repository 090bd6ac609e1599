"""One sentence that says where, what, and what to do."""

from __future__ import annotations

import copy
import errno
import socket
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from s3fs.errors import translate_boto_error

from hierflow.errors import HierflowError, InputError, RunError, StorageError, storage_error


def test_a_sentence_names_file_field_value_problem_and_remedy() -> None:
    error = InputError("is not a number", file=Path("a/b.yaml"), field="sharing.tau", value="x", remedy="write 1.0")
    assert str(error) == "a/b.yaml: sharing.tau: 'x' is not a number; write 1.0."


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({}, "is wrong."),
        ({"field": "name"}, "name: is wrong."),
        ({"value": 0}, "0 is wrong."),
        ({"value": False, "remedy": "try true"}, "False is wrong; try true."),
        ({"file": "x.yaml", "value": ""}, "x.yaml: '' is wrong."),
    ],
)
def test_what_is_not_known_is_left_out(parts: dict[str, object], sentence: str) -> None:
    assert str(InputError("is wrong", **parts)) == sentence  # type: ignore[arg-type]


def test_a_long_value_is_shortened_and_a_value_of_many_lines_is_one_line() -> None:
    sentence = str(InputError("is wrong", value=list(range(1000))))
    assert len(sentence) < 120
    assert "…" in sentence
    assert "\n" not in str(InputError("is wrong", value={"a": "b\nc"}))
    assert str(InputError("is wrong", value=Path("a\nb"))) == "a b is wrong."


def test_locating_an_error_adds_the_file_and_keeps_one_that_is_named() -> None:
    error = InputError("is wrong", field="name", value="x", remedy="mend it")
    assert str(error.located("doc.yaml")) == "doc.yaml: name: 'x' is wrong; mend it."
    assert str(error.located("doc.yaml").located("other.yaml", 3)) == "doc.yaml: name: 'x' is wrong; mend it."
    assert str(error.located("doc.yaml", 3)) == "doc.yaml:3: name: 'x' is wrong; mend it."


def test_an_input_error_is_a_value_error_and_a_run_error_is_not() -> None:
    assert issubclass(InputError, ValueError)
    assert issubclass(InputError, HierflowError)
    assert issubclass(RunError, HierflowError)
    assert not issubclass(RunError, ValueError)


def test_an_error_survives_the_way_to_another_process() -> None:
    error = InputError("is wrong", file="doc.yaml", line=2, field="name", value="x", remedy="mend it")
    arrived = copy.copy(error)  # takes the same way as between processes
    assert str(arrived) == str(error)
    assert (arrived.field, arrived.value, arrived.remedy) == ("name", "x", "mend it")


def s3_error(status: int, code: str) -> OSError:
    """What s3fs raises for an answer with that status and code."""
    response = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    error = translate_boto_error(ClientError(response, "PutObject"))
    assert isinstance(error, OSError)
    return error


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


WRONG_SETTINGS = [
    *(s3_error(403, code) for code in ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch")),
    s3_error(400, "ExpiredToken"),
    s3_error(301, "PermanentRedirect"),
    s3_error(400, "AuthorizationHeaderMalformed"),
    NoCredentialsError(),
    caused(EndpointConnectionError(endpoint_url="http://x"), socket.gaierror(socket.EAI_NONAME, "unknown")),
    ImportError("Install s3fs"),
    PermissionError(errno.EACCES, "denied"),
    OSError(errno.EROFS, "read-only"),
    OSError("Forbidden: https://storage.googleapis.com/bucket"),  # as gcsfs has it
    TypeError("unexpected keyword argument 'endpiont'"),
]
OUTAGES = [
    s3_error(500, "InternalError"),
    s3_error(503, "SlowDown"),
    s3_error(400, "RequestTimeout"),
    caused(EndpointConnectionError(endpoint_url="http://x"), ConnectionRefusedError(errno.ECONNREFUSED, "refused")),
    socket.gaierror(socket.EAI_AGAIN, "try again"),
    TimeoutError(),
    ConnectionResetError(errno.ECONNRESET, "reset"),
    OSError(errno.ENOSPC, "full"),
    Exception("what nobody has heard of"),
]


@pytest.mark.parametrize("error", WRONG_SETTINGS, ids=repr)
def test_a_store_with_wrong_settings_is_wrong_input(error: Exception) -> None:
    converted = storage_error(error, field="prompts.file", url="s3://bucket/prompts.csv")
    assert isinstance(converted, InputError)
    assert (converted.field, converted.value) == ("prompts.file", "s3://bucket/prompts.csv")


@pytest.mark.parametrize("error", OUTAGES, ids=repr)
def test_a_store_that_fails_is_an_outage_even_while_a_missing_file_is_handled(error: Exception) -> None:
    error.__context__ = s3_error(404, "NoSuchKey")
    converted = storage_error(error, field="storage.path", url="s3://bucket/sets", endpoint="http://127.0.0.1:9000")
    assert isinstance(converted, StorageError)
    assert (converted.field, converted.value) == ("storage.path", "s3://bucket/sets")
    assert "http://127.0.0.1:9000" in converted.problem
    assert str(copy.copy(converted)) == str(converted)


def test_the_sentence_of_a_store_names_the_cause_and_no_secret() -> None:
    error = OSError("cannot log in at sftp://me:hunter2@host with token-123\nnow")
    converted = storage_error(error, field="storage.path", url="sftp://me:hunter2@host/x", secrets=["token-123"])
    assert "hunter2" not in str(converted)
    assert "token-123" not in str(converted)
    assert converted.value == "sftp://host/x"
    assert "\n" not in str(converted)
    assert "AccessDenied" in str(storage_error(s3_error(403, "AccessDenied"), field="storage.path", url="s3://x"))
