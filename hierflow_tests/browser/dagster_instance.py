"""`dagster dev` on an instance of its own: webserver, daemon and code server, and a GraphQL client for them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil

_T = TypeVar("_T")
_SETTINGS = "telemetry:\n  enabled: false\nnux:\n  enabled: false\n"  # nux: the dialog that asks one to join


@dataclass
class DagsterInstance:
    """What `dagster dev` serves.

    Attributes:
        url: of the web server.
        home: the instance's folder.
        session: all processes of this instance belong to it, runs as well.
    """

    url: str
    home: Path
    session: int

    def ask(self, query: str, **variables: Any) -> Any:
        """The data of a GraphQL answer.

        Raises:
            AssertionError: Dagster says that the query is wrong.
        """
        request = urllib.request.Request(
            f"{self.url}/graphql",
            json.dumps({"query": query, "variables": variables}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            told = json.load(answer)
        assert "errors" not in told, told["errors"]
        return told["data"]

    def do(self, mutation: str, success: str, **variables: Any) -> Any:
        """The one field of a mutation's answer, which must be of the type `success`."""
        (answer,) = self.ask(mutation, **variables).values()
        assert answer["__typename"] == success, answer
        return answer

    @property
    def repository(self) -> dict[str, str]:
        """The selector of the one code location."""
        found = self.ask("{repositoriesOrError{...on RepositoryConnection{nodes{name location{name}}}}}")
        (repository,) = found["repositoriesOrError"]["nodes"]
        return {"repositoryName": repository["name"], "repositoryLocationName": repository["location"]["name"]}

    def launch(self, job: str, tags: Mapping[str, str] | None = None) -> str:
        """Launch a job as the UI's button does; returns the run's id."""
        parameters = {
            "selector": {**self.repository, "pipelineName": job},
            "runConfigData": {},
            "mode": "default",
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in (tags or {}).items()]},
        }
        launched = self.do(
            "mutation($p: ExecutionParams!){launchRun(executionParams: $p){__typename "
            "...on LaunchRunSuccess{run{runId}} ...on PythonError{message stack}}}",
            "LaunchRunSuccess",
            p=parameters,
        )
        return str(launched["run"]["runId"])

    def runs(self) -> list[dict[str, Any]]:
        """All runs, the oldest first: runId, jobName, status, tags (a dict), startTime."""
        found = self.ask(
            "{runsOrError(limit: 500){...on Runs{results{runId jobName status startTime tags{key value}}}}}"
        )["runsOrError"]["results"]
        return [{**run, "tags": {tag["key"]: tag["value"] for tag in run["tags"]}} for run in reversed(found)]

    def status(self, run: str) -> str:
        """A run's status."""
        found = self.ask("query($r: ID!){runOrError(runId: $r){...on Run{status}}}", r=run)
        return str(found["runOrError"]["status"])

    def process_of(self, run: str) -> int | None:
        """The process that executes a run, once the run has told."""
        found = self.ask(
            "query($r: ID!){logsForRun(runId: $r){...on EventConnection{events{...on EngineEvent{"
            "metadataEntries{label ...on TextMetadataEntry{text}}}}}}}",
            r=run,
        )
        for event in found["logsForRun"]["events"]:
            for entry in event.get("metadataEntries", ()):
                if entry["label"] == "pid":
                    return int(entry["text"])
        return None

    def processes(self) -> list[psutil.Process]:
        """Those of the instance that live."""
        return _processes_of(self.session)


@contextmanager
def serve(home: Path, documents: Path, **environment: str) -> Iterator[DagsterInstance]:
    """`dagster dev` over the documents of a folder; on leaving, every process it began is dead.

    Args:
        home: becomes DAGSTER_HOME; the log is `dev.log` in it. It may hold an earlier instance's records.
        documents: the folder of image-set documents.
        environment: more variables.
    """
    home.mkdir(parents=True, exist_ok=True)
    (home / "dagster.yaml").write_text(_SETTINGS, "utf-8")
    url = f"http://127.0.0.1:{_free_port()}"
    log = home / "dev.log"
    with log.open("wb") as lines:
        process = subprocess.Popen(
            [sys.executable, "-m", "dagster", "dev", "-m", "hierflow.definitions", "-h", "127.0.0.1"]
            + ["-p", url.rpartition(":")[2]],
            cwd=home,
            env={
                **os.environ,
                "DAGSTER_HOME": str(home),
                "HIERFLOW_DOCUMENTS": str(documents),
                "OMP_NUM_THREADS": "1",
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=lines,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    instance = DagsterInstance(url, home, process.pid)
    try:
        wait(lambda: _answers(instance, process), f"{url} (see {log})", 120)
        yield instance
    finally:
        _end(process)


def wait(told: Callable[[], _T], what: str, seconds: float = 180) -> _T:
    """What `told` returns as soon as that is true.

    Raises:
        AssertionError: it did not become true in time.
    """
    end = time.monotonic() + seconds
    while not (answer := told()):
        assert time.monotonic() < end, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.3)
    return answer


def _answers(instance: DagsterInstance, process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        raise AssertionError((instance.home / "dev.log").read_text())
    try:
        return bool(instance.repository)
    except OSError:
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask nicely, then kill whatever is left of the session: `dagster dev` alone leaves runs behind."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
    while left := _processes_of(process.pid):
        for each in left:
            try:
                each.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(left, 5)
    process.wait()


def _processes_of(session: int) -> list[psutil.Process]:
    return [each for each in psutil.process_iter() if _session(each) == session]


def _session(process: psutil.Process) -> int | None:
    try:
        return None if process.status() == psutil.STATUS_ZOMBIE else os.getsid(process.pid)
    except (psutil.NoSuchProcess, ProcessLookupError):
        return None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
