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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil

_T = TypeVar("_T")
_SETTINGS = "telemetry:\n  enabled: false\nnux:\n  enabled: false\n"  # nux: a dialog that covers the first page


@dataclass(frozen=True)
class DagsterDev:
    """What `dagster dev` serves.

    Attributes:
        url: of the webserver.
        session: the system's id of a session that all of its processes belong to, runs as well.
    """

    url: str
    session: int

    def ask(self, query: str, **variables: Any) -> Any:
        """The data of a GraphQL answer; queries with mistakes are the test's."""
        request = urllib.request.Request(
            f"{self.url}/graphql",
            json.dumps({"query": query, "variables": variables}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            told = json.load(answer)
        assert "errors" not in told, told["errors"]
        return told["data"]

    @property
    def repository(self) -> dict[str, str]:
        """The selector of the one code location."""
        found = self.ask("{repositoriesOrError{... on RepositoryConnection{nodes{name location{name}}}}}")
        (repository,) = found["repositoriesOrError"]["nodes"]
        return {"repositoryName": repository["name"], "repositoryLocationName": repository["location"]["name"]}

    def launch(self, job: str) -> str:
        """Launch a job as the UI's button does; returns the run's id."""
        launched = self.ask(
            "mutation($p: ExecutionParams!){launchRun(executionParams: $p){__typename "
            "... on LaunchRunSuccess{run{runId}} ... on PythonError{message}}}",
            p={"selector": {**self.repository, "jobName": job}, "runConfigData": {}},
        )["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["runId"])

    def backfill(self, assets: Sequence[str], partitions: Sequence[str]) -> str:
        """Launch a backfill of assets, `NAME/asset` each, as the UI's button does; returns its id."""
        launched = self.ask(
            "mutation($p: LaunchBackfillParams!){launchPartitionBackfill(backfillParams: $p){__typename "
            "... on LaunchBackfillSuccess{backfillId} ... on PythonError{message}}}",
            p={"assetSelection": [{"path": asset.split("/")} for asset in assets], "partitionNames": partitions},
        )["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        return str(launched["backfillId"])

    def end_of_backfill(self, backfill: str) -> str | None:
        """How a backfill has ended, such as COMPLETED_SUCCESS; None while it is at work."""
        found = self.ask(
            "query($b: String!){partitionBackfillOrError(backfillId: $b){... on PartitionBackfill{status}}}",
            b=backfill,
        )
        status = str(found["partitionBackfillOrError"]["status"])
        return status if status.startswith(("COMPLETED", "FAILED", "CANCELED")) else None

    def runs(self) -> list[dict[str, Any]]:
        """All runs, the oldest first: runId, jobName, status, startTime, endTime and tags, a dict."""
        found = self.ask(
            "{runsOrError(limit: 500){... on Runs{results{runId jobName status startTime endTime tags{key value}}}}}"
        )["runsOrError"]["results"]
        return [{**run, "tags": {tag["key"]: tag["value"] for tag in run["tags"]}} for run in reversed(found)]

    def process_of(self, run: str) -> int:
        """The process that executes a run; a KeyError before the run has told."""
        found = self.ask(
            "query($r: ID!){logsForRun(runId: $r){... on EventConnection{events{... on EngineEvent{"
            "metadataEntries{label ... on TextMetadataEntry{text}}}}}}}",
            r=run,
        )
        for event in found["logsForRun"].get("events", ()):
            for entry in event.get("metadataEntries", ()):
                if entry["label"] == "pid":
                    return int(entry["text"])
        raise KeyError(run)

    def asset(self, *key: str) -> dict[str, Any]:
        """Of an asset: its latest materialisation, how many partitions have one, and what its checks say."""
        node = self.ask(
            "query($k: AssetKeyInput!){assetNodeOrError(assetKey: $k){... on AssetNode{"
            "assetMaterializations(limit: 1){runId metadataEntries{label}}"
            "partitionKeys partitionStats{numMaterialized numPartitions numFailed}"
            "assetChecksOrError{... on AssetChecks{checks{name executionForLatestMaterialization{"
            "status evaluation{success}}}}}}}}",
            k={"path": key},
        )["assetNodeOrError"]
        assert isinstance(node, dict)
        return node


@contextmanager
def dagster_dev(home: Path, documents: Path) -> Iterator[DagsterDev]:
    """`dagster dev` over the documents of a folder; on leaving, every process it began is dead.

    Args:
        home: becomes DAGSTER_HOME; what the processes print is `dev.log` in it.
        documents: the folder of image-set documents.
    """
    home.mkdir(parents=True, exist_ok=True)
    (home / "dagster.yaml").write_text(_SETTINGS, "utf-8")
    port, log = _free_port(), home / "dev.log"
    with log.open("ab") as printed:
        process = subprocess.Popen(
            [sys.executable, "-m", "dagster", "dev", "-m", "hierflow.definitions", "-p", str(port)],
            cwd=home,
            env={**os.environ, "DAGSTER_HOME": str(home), "HIERFLOW_DOCUMENTS": str(documents)},
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    served = DagsterDev(f"http://127.0.0.1:{port}", process.pid)
    try:
        wait(lambda: _is_up(served, process, log), f"{served.url} to answer (see {log})")
        yield served
    finally:
        _end(process)


def wait(told: Callable[[], _T | None], what: str, seconds: float = 300) -> _T:
    """What `told` returns as soon as that is true; a failed test if it does not become so in time."""
    end = time.monotonic() + seconds
    while not (answer := told()):
        assert time.monotonic() < end, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.3)
    return answer


def processes_of(session: int) -> list[psutil.Process]:
    """The living processes of a session."""
    return [process for process in psutil.process_iter() if _session(process) == session]


def _session(process: psutil.Process) -> int | None:
    try:
        return None if process.status() == psutil.STATUS_ZOMBIE else os.getsid(process.pid)
    except (psutil.NoSuchProcess, ProcessLookupError):
        return None


def _is_up(served: DagsterDev, process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    try:
        return bool(served.repository)
    except OSError:
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask, then kill what is left of the session: `dagster dev` leaves runs behind, and servers if it is killed."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
    while left := processes_of(process.pid):
        for each in left:
            try:
                each.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(left, 5)
    process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
