"""Servers for tests: an S3 API (moto), Postgres and Redis, each on a free port with its data in a temporary folder.

Where a server is not installed, the test is skipped; with HIERFLOW_REQUIRE_SERVICES=1, as in CI, it fails.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

KEY, SECRET, REGION = "hierflow-test-key", "hierflow-test-secret", "us-east-1"


@dataclass(frozen=True)
class Bucket:
    """An empty bucket of a local S3 API.

    Attributes:
        endpoint: the server's URL.
        name: of the bucket.
        client: boto3's client for the server.
    """

    endpoint: str
    name: str
    client: Any

    @property
    def url(self) -> str:
        """`s3://<name>`."""
        return f"s3://{self.name}"

    def keys(self) -> list[str]:
        """The keys of all objects, sorted."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return sorted(entry["Key"] for page in pages for entry in page.get("Contents", ()))


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The URL of an S3 API that accepts every credential."""
    try:
        from moto.server import ThreadedMotoServer
    except ImportError:
        unavailable("moto[server] is not installed")
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """An empty bucket. The environment holds the endpoint and the credentials, for this process and its children."""
    import boto3
    from s3fs import S3FileSystem

    for name, value in {
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    S3FileSystem.clear_instance_cache()  # instances keep the environment of their creation
    client = boto3.client(
        "s3",
        endpoint_url=s3_endpoint,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        region_name=REGION,
    )
    bucket = Bucket(s3_endpoint, f"hierflow-{uuid.uuid4().hex[:12]}", client)
    client.create_bucket(Bucket=bucket.name)
    yield bucket
    S3FileSystem.clear_instance_cache()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a Postgres server, without a database."""
    programs = _postgres_programs()
    with _server_folder() as folder:
        data, port = folder / "data", free_port()
        options = {"user": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "hierflow", "--auth=trust", "--no-sync"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=folder,
            **options,
        )
        settings = ("fsync=off", "full_page_writes=off", "unix_socket_directories=", "max_connections=200")
        command = [programs / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port)]
        command += [part for setting in settings for part in ("-c", setting)]
        url = f"postgresql+psycopg2://hierflow@127.0.0.1:{port}"
        with _running(command, folder, lambda: _query(f"{url}/postgres", "SELECT 1"), **options):
            yield url


@pytest.fixture
def postgres(postgres_server: str) -> str:
    """The URL of an empty Postgres database, `postgresql+psycopg2://...`: dagster-postgres fails with psycopg 3."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    _query(f"{postgres_server}/postgres", f"CREATE DATABASE {name}")
    return f"{postgres_server}/{name}"


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """The URL of a Redis server."""
    program = shutil.which("redis-server") or unavailable("redis-server is not installed")
    port = free_port()
    with (
        _server_folder() as folder,
        _running(
            [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
            folder,
            lambda: _redis(f"redis://127.0.0.1:{port}").ping(),
        ),
    ):
        yield f"redis://127.0.0.1:{port}"


@pytest.fixture
def redis(redis_server: str) -> str:
    """The URL of an empty Redis; databases are chosen as `<url>/0`, `<url>/1`."""
    _redis(redis_server).flushall()
    return redis_server


def unavailable(reason: str) -> Any:
    """Skip the test; fail it where services are required."""
    if os.environ.get("HIERFLOW_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{reason} (.ci/services installs what the tests need)")
    pytest.skip(reason)


def free_port() -> int:
    """A TCP port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _server_folder() -> Iterator[Path]:
    """A temporary folder that belongs to the user of the Postgres server."""
    folder = Path(tempfile.mkdtemp(prefix="hierflow-"))
    try:
        if os.getuid() == 0:
            shutil.chown(folder, "postgres")
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _postgres_programs() -> Path:
    """Debian keeps the programs of each version outside PATH."""
    found = shutil.which("postgres")
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return folders[-1] if folders else unavailable("postgres is not installed")


@contextmanager
def _running(command: list[Any], folder: Path, answers: Callable[[], Any], **options: Any) -> Iterator[None]:
    """A server process, from its first answer on; SIGINT ends it."""
    log = folder / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT, **options)
    try:
        end = time.monotonic() + 60
        while True:
            assert server.poll() is None, log.read_text()
            try:
                answers()
                break
            except Exception:
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.1)
        yield
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)


def _query(url: str, statement: str) -> None:
    import sqlalchemy

    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(statement))
    engine.dispose()


def _redis(url: str) -> Any:
    from redis import Redis

    return Redis.from_url(url)
