"""A set in an S3 bucket: headers, wrong settings, outages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from hierflow.assets import served_set
from hierflow.assets.build import definitions_of
from hierflow.assets.served_set import ServedSet
from hierflow.document import load_document
from hierflow.errors import InputError, StorageError
from hierflow.store.storage import Storage
from hierflow_tests.image_sets import command, write_document
from hierflow_tests.services.conftest import SECRET, Bucket
from hierflow_tests.services.fault_proxy import RESET, Fault, FaultProxy, fault_proxy

pytestmark = pytest.mark.services

QUICK: dict[str, Any] = {"config_kwargs": {"retries": {"max_attempts": 0}}}
"""Options without which botocore tries ten seconds."""

OPERATIONS: dict[str, Callable[[Storage], object]] = {
    "read": lambda storage: storage.read("a/b.json"),
    "read_all": lambda storage: storage.read_all(["a/b.json"]),
    "exists": lambda storage: storage.exists("a/b.json"),
    "list": lambda storage: storage.list("a"),
    "write": lambda storage: storage.write("a/b.json", b"1"),
    "delete": lambda storage: storage.delete("a/b.json"),
}
every_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)


@pytest.fixture
def proxy(s3: Bucket) -> Iterator[FaultProxy]:
    """A proxy before the server."""
    with fault_proxy(s3.endpoint) as running:
        yield running


def storage_of(s3: Bucket, endpoint: str = "") -> dict[str, Any]:
    """The `storage` section of a document."""
    return {"path": f"{s3.url}/sets", "options": {**QUICK, "endpoint_url": endpoint or s3.endpoint}}


def test_an_absent_object_is_not_an_error_of_the_store(s3: Bucket) -> None:
    storage = Storage(f"{s3.url}/sets")
    with pytest.raises(FileNotFoundError):
        storage.read("a/b.json")
    assert storage.read_all(["a/b.json"]) == {}
    assert not storage.exists("a/b.json")
    assert storage.list("a") == []
    storage.delete("a/b.json")


@every_operation
def test_a_bucket_that_does_not_exist_is_wrong_input_and_is_not_created(
    s3: Bucket, operation: Callable[[Storage], object]
) -> None:
    buckets = s3.client.list_buckets()["Buckets"]
    storage = Storage("s3://hierflow-mistyped/sets")
    storage.prepare()
    with pytest.raises(InputError) as refused:
        operation(storage)
    assert (refused.value.field, refused.value.value) == ("storage.path", "s3://hierflow-mistyped/sets")
    assert "hierflow-mistyped" in refused.value.problem
    assert s3.client.list_buckets()["Buckets"] == buckets


@every_operation
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ((403, "InvalidAccessKeyId"), InputError),
        ((500, "InternalError"), StorageError),
    ],
    ids=str,
)
def test_every_operation_names_endpoint_and_cause(
    s3: Bucket, proxy: FaultProxy, operation: Callable[[Storage], object], fault: Fault, kind: type[Exception]
) -> None:
    proxy.fault = lambda method, path: fault
    with pytest.raises(kind) as failed:
        operation(Storage(f"{s3.url}/sets", {**QUICK, "endpoint_url": proxy.url}))
    assert isinstance(failed.value, InputError | StorageError)
    assert failed.value.value == f"{s3.url}/sets"
    assert proxy.url in failed.value.problem
    if kind is InputError and isinstance(fault, tuple):
        assert fault[1] in failed.value.problem


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"endpoint_url": "http://nosuch.invalid"}, InputError),
        ({"endpoint_url": "http://127.0.0.1:9"}, StorageError),
        ({"endpoint_url": "nonsense"}, InputError),
        ({"profile": "nobody"}, InputError),
        ({"client_kwargs": {"nonsense": 1}}, InputError),
    ],
    ids=str,
)
@pytest.mark.usefixtures("s3")
def test_wrong_options_are_wrong_input_and_a_refused_connection_is_an_outage(
    options: dict[str, Any], kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        Storage("s3://bucket/sets", {**QUICK, **options}).read("a/b.json")


def test_missing_credentials_are_wrong_input(s3: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(InputError):
        Storage(f"{s3.url}/sets").list("a")


@pytest.mark.parametrize(
    ("path", "content_type", "cache_control"),
    [
        ("gallery.html", "text/html; charset=utf-8", "no-cache"),
        ("current.json", "application/json", "no-cache"),
        ("manifest.parquet", "application/vnd.apache.parquet", "no-cache"),
        ("images/a/b.png", "image/png", "max-age=31536000, immutable"),
        ("thumbnails/320/a.webp", "image/webp", "max-age=31536000, immutable"),
        ("states/a.safetensors", "application/octet-stream", "no-cache"),
    ],
)
def test_objects_have_a_content_type_and_cache_headers(
    s3: Bucket, path: str, content_type: str, cache_control: str
) -> None:
    Storage(f"{s3.url}/sets").write(path, b"x")
    head = s3.client.head_object(Bucket=s3.name, Key=f"sets/{path}")
    assert (head["ContentType"], head["CacheControl"]) == (content_type, cache_control)


def test_a_set_is_made_in_a_bucket_by_options_and_its_secret_is_stored_nowhere(
    s3: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("S3_SECRET", SECRET)
    options = {**QUICK, "endpoint_url": s3.endpoint, "key": "me", "secret": "{{ env.S3_SECRET }}"}
    document = write_document(tmp_path, storage={"path": f"{s3.url}/sets", "options": options})
    ended = command("run", document, "--json")
    assert ended.code == 0
    assert ended.json["complete"]
    assert ended.json["gallery"] == f"{s3.url}/sets/trial/gallery.html"
    keys = s3.keys()
    assert "sets/trial/gallery.html" in keys
    stored = [s3.client.get_object(Bucket=s3.name, Key=key)["Body"].read() for key in keys]
    recorded = [file.read_bytes() for file in (tmp_path / ".hierflow").rglob("*") if file.is_file()]
    assert not [data for data in [*stored, *recorded] if SECRET.encode() in data]
    assert SECRET not in ended.stdout + ended.stderr + repr(load_document(document))
    for name in ("plan", "status", "audit", "prune"):
        assert command(name, document).code == 0


@pytest.mark.parametrize("name", ["plan", "run", "status", "audit", "prune"])
@pytest.mark.parametrize(("fault", "code"), [((403, "InvalidAccessKeyId"), 2), ((500, "InternalError"), 1)], ids=str)
def test_commands_end_with_one_sentence(
    s3: Bucket, proxy: FaultProxy, tmp_path: Path, name: str, fault: Fault, code: int
) -> None:
    document = write_document(tmp_path, storage=storage_of(s3, proxy.url))
    proxy.fault = lambda method, path: fault
    ended = command(name, document, "--json")
    assert ended.code == code
    assert proxy.url in json.loads(ended.stdout)["error"]
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("name", ["plan", "run", "status", "audit", "prune"])
def test_commands_refuse_a_mistyped_bucket(s3: Bucket, tmp_path: Path, name: str) -> None:
    storage = {"path": "s3://hierflow-mistyped/sets", "options": {"endpoint_url": s3.endpoint}}
    assert command(name, write_document(tmp_path, storage=storage)).code == 2
    assert "hierflow-mistyped" not in [bucket["Name"] for bucket in s3.client.list_buckets()["Buckets"]]


def test_a_bucket_that_cannot_be_written_is_refused_before_anything_is_made(
    s3: Bucket, proxy: FaultProxy, tmp_path: Path
) -> None:
    document = write_document(tmp_path, storage=storage_of(s3, proxy.url))
    assert command("run", document).code == 0
    before = s3.keys()
    proxy.fault = lambda method, path: (403, "AccessDenied") if method == "PUT" else None
    assert command("status", document).code == 0
    assert command("run", document).code == 2
    assert s3.keys() == before


@pytest.mark.parametrize(
    ("fault", "attempts"), [((500, "InternalError"), 2), ((403, "AccessDenied"), 1)], ids=["outage", "setting"]
)
def test_a_dagster_run_tries_again_after_an_outage_and_not_with_wrong_settings(
    s3: Bucket,
    proxy: FaultProxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
    attempts: int,
) -> None:
    monkeypatch.setattr(served_set, "RETRY_SECONDS", 0)
    document = write_document(tmp_path, storage=storage_of(s3, proxy.url), runs={"retries": 1})
    served = ServedSet(load_document(document), tmp_path, document)
    proxy.fault = lambda method, path: fault
    with dg.DagsterInstance.ephemeral() as instance:
        job = definitions_of(served).resolve_job_def(served.names.plan_job)
        result = job.execute_in_process(instance=instance, raise_on_error=False)
    assert not result.success
    tried = [event for event in result.all_events if event.is_step_restarted or event.is_step_start]
    assert len(tried) == attempts


@pytest.mark.parametrize("fault", [(403, "InvalidAccessKeyId"), (500, "InternalError"), RESET], ids=str)
def test_a_sensor_tick_skips_with_the_sentence(s3: Bucket, proxy: FaultProxy, tmp_path: Path, fault: Fault) -> None:
    document = write_document(tmp_path, storage=storage_of(s3, proxy.url))
    served = ServedSet(load_document(document), tmp_path, document)
    repository = definitions_of(served).get_repository_def()
    proxy.fault = lambda method, path: fault
    for name in (served.names.sensor, served.names.prompts_sensor):
        with (
            dg.DagsterInstance.ephemeral() as instance,
            dg.build_sensor_context(instance=instance, repository_def=repository) as context,
        ):
            skipped = repository.get_sensor_def(name)(context)
        assert isinstance(skipped, dg.SkipReason)
        assert proxy.url in str(skipped.skip_message)
