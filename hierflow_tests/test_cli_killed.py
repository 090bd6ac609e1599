"""A process that is killed midway loses at most what it had in hand."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg

from hierflow_tests.image_sets import command, run, write_document

HIERFLOW = str(Path(sys.executable).parent / "hierflow")
PATIENCE = 240.0


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}


def _killed_midway(document: Path, level: int) -> None:
    """Start a run of the document, and kill it once a partition has gone `level` steps."""
    process = subprocess.Popen(
        [HIERFLOW, "run", str(document), "--json"],
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    opened = document.parent / "out/trial/ledger/open"
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        for noted in opened.glob("*.progress.json"):
            try:
                if f'"level":{level}' in noted.read_text("utf-8").replace(" ", ""):
                    process.send_signal(signal.SIGKILL)
            except FileNotFoundError:
                continue
        time.sleep(0.002)
    process.kill()
    printed, said = process.communicate()
    assert process.returncode == -signal.SIGKILL, said.decode()
    assert printed == b""


def test_a_killed_run_is_completed_by_the_next(tmp_path: Path) -> None:
    document = write_document(
        tmp_path,
        prompts={"text": ["a red mug", "a blue chair"]},
        diffusion={"steps": 30},
        sharing={"tau": 0.0, "checkpoint_every": 3},
        partitions={"max_prompts": 1},
    )
    _killed_midway(document, level=7)

    ended = run(document)
    found = ended.json
    assert ended.code == 0, ended.stderr
    assert (found["complete"], found["images"]) == (True, 2)
    assert found["partitions"] == {"total": 2, "run": 2, "skipped": 0, "failed": 0, "left": {}}
    assert found["evaluations"]["planned"] == 60
    assert found["evaluations"]["reused"] >= 6  # up to the last checkpoint before the seventh step
    assert found["evaluations"]["executed"] <= 54

    audit = command("audit", document, "--json")
    assert audit.code == 0
    books = audit.json["books"]
    assert books["balanced"] is True
    assert books["unaccounted"] == 1
    assert [entry["status"] for entry in audit.json["runs"] if entry["stage"] == "partition"].count("lost") == 1

    with dg.DagsterInstance.from_config(str(tmp_path / ".hierflow")) as instance:
        ended_as = [record.status for record in instance.get_runs()]
    assert ended_as.count(dg.DagsterRunStatus.FAILURE) == 1
    assert set(ended_as) == {dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS}


def test_the_installed_command_prints_one_object_and_exits_with_its_code(tmp_path: Path) -> None:
    document = write_document(tmp_path, sharing={"tau": -1})
    ended = subprocess.run(
        [HIERFLOW, "run", str(document), "--json"],
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert json.loads(ended.stdout).keys() == {"error"}
    assert len(ended.stderr.splitlines()) == 1
