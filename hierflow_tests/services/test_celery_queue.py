"""A Celery worker that is killed inside a partition: the sensor notices it by its heartbeat and the set completes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest

from hierflow.assets.names import SetNames
from hierflow.document import load_document
from hierflow.stages.context import Stage
from hierflow.store.sealed import write_json
from hierflow_tests.image_sets import rows_of, write_document

pytestmark = pytest.mark.services

BIN = Path(sys.executable).parent
NAMES = SetNames("trial")
PATIENCE = 400.0
SETTINGS = """\
telemetry: {{enabled: false}}
run_launcher:
  module: dagster_celery.launcher
  class: CeleryRunLauncher
  config: {{broker: "{broker}", backend: "{backend}"}}
"""
APP = """\
from dagster_celery.make_app import make_app
from dagster_celery.tasks import create_execute_job_task

app = make_app({{"broker": "{broker}", "backend": "{backend}", "include": None, "config_source": {{}}}})
execute_job = create_execute_job_task(app)
"""


@contextmanager
def running(log: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process with its children, which are killed at the end."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, cwd=log.parent, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield process
    finally:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and its children at once, as a machine that loses power does."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(condition: Callable[[], object], folder: Path) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        logs = "\n".join(f"{log.name}: {log.read_text()[-3000:]}" for log in folder.glob("*.log"))
        assert time.monotonic() < end, logs
        time.sleep(0.05)


def test_a_killed_worker_is_noticed_and_its_partition_continues(
    redis: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = {"broker": f"{redis}/0", "backend": f"{redis}/1"}
    (tmp_path / "dagster.yaml").write_text(SETTINGS.format(**urls))
    (tmp_path / "queue_app.py").write_text(APP.format(**urls))
    documents = tmp_path / "documents"
    documents.mkdir()
    document = write_document(documents, diffusion={"steps": 60}, sharing={"tau": 0.0})
    for name, value in {"DAGSTER_HOME": tmp_path, "HIERFLOW_DOCUMENTS": documents}.items():
        monkeypatch.setenv(name, str(value))
    location = ("-m", "hierflow.definitions")
    worker = (str(BIN / "celery"), "-A", "queue_app", "worker", "-Q", "dagster", "--concurrency", "1")
    store = Stage(load_document(document), documents, document, run="r", invocation="i").store

    def partitions(instance: dg.DagsterInstance) -> dict[str, dg.DagsterRun]:
        runs = instance.get_runs(dg.RunsFilter(job_name=NAMES.subtree_job))
        return {run.run_id: run for run in runs}

    with (
        dg.DagsterInstance.get() as instance,
        running(tmp_path / "daemon.log", str(BIN / "dagster-daemon"), "run", *location),
    ):
        with running(tmp_path / "worker.log", *worker) as first:
            launch = [str(BIN / "dagster"), "job", "launch", *location, "-j", NAMES.plan_job]
            subprocess.run(launch, check=True, capture_output=True)
            opened = documents / "out/trial/ledger/open"
            wait_for(
                lambda: [run for run in partitions(instance) if list(opened.glob(f"{run}.*.progress.json"))], tmp_path
            )
            kill(first)
        (killed,) = partitions(instance)
        assert store.heartbeats.last(killed) is not None
        heartbeat = f"heartbeats/{killed}.json"
        with running(tmp_path / "worker.log", *worker):
            time.sleep(12)  # a tick of the sensor: the heartbeat is fresh
            assert partitions(instance)[killed].status == dg.DagsterRunStatus.STARTED
            write_json(store.files, heartbeat, {"time": time.time() - 601})
            wait_for(lambda: (documents / "out/trial/assessed.json").exists(), tmp_path)
            wait_for(lambda: not instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])), tmp_path)
        runs = partitions(instance)
        assert runs[killed].status == dg.DagsterRunStatus.FAILURE
        others = {key: run for key, run in runs.items() if key != killed}
        assert {run.status for run in others.values()} == {dg.DagsterRunStatus.SUCCESS}
        again = [run.tags["dagster/partition"] for run in others.values()]
        assert len(again) == len(set(again)) == 2
        assert runs[killed].tags["dagster/partition"] in again
    assert [row["status"] for row in rows_of(document)] == ["current"] * 4
    lost = [entry for entry in store.ledger.entries() if entry.status == "lost"]
    assert [(entry.run, entry.partition) for entry in lost] == [(killed, runs[killed].tags["dagster/partition"])]
