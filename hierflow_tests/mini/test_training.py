"""`python -m hierflow.mini.training`: stages in order, each done once, gone on with after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hierflow.errors import InputError
from hierflow.mini.training.__main__ import main
from hierflow.mini.training.curves import read_curve
from hierflow.mini.training.rows import read_rows
from hierflow.mini.training.stages import STAGES

TINY = "0.0005"
PATIENCE = 900


def start(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "hierflow.mini.training", "--work", str(folder), "--steps-scale", TINY]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + PATIENCE
    while not path.exists():
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < until, f"{path} is not there after {PATIENCE} seconds"
        time.sleep(0.2)


def others_at_work(folder: Path) -> bool:
    """Whether processes that a kill has left alone are still training in the folder."""
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return str(folder) in found


@pytest.mark.slow
def test_the_whole_chain_runs_and_a_killed_one_goes_on(tmp_path: Path) -> None:
    killed = start(tmp_path)
    wait_for(tmp_path / "done" / "classifier.json", killed)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    drawn = (tmp_path / "pictures" / "images.npy").stat().st_mtime_ns
    again = start(tmp_path)
    said = again.communicate(timeout=PATIENCE)[1]
    assert again.returncode == 0, said
    assert "data: done already" in said
    assert "classifier: done already" in said
    assert (tmp_path / "pictures" / "images.npy").stat().st_mtime_ns == drawn
    assert not others_at_work(tmp_path)
    assert sorted(path.stem for path in (tmp_path / "done").iterdir()) == sorted(stage.name for stage in STAGES)
    for name in ("classifier", "yes_no_eye", "yes_no", "movq", "clip", "prior", "unet"):
        assert read_curve(tmp_path / "curves" / f"{name}.csv"), name
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert len(figures["tables"]) == 4
    assert (tmp_path / "model" / "decoder" / "model_index.json").exists()


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    main(["--work", str(tmp_path), "--steps-scale", TINY, "--only", "data", "tokenizer"])
    return tmp_path


def test_stages_can_be_chosen_and_are_done_once(drawn: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert sorted(path.stem for path in (drawn / "done").iterdir()) == ["data", "tokenizer"]
    assert len(read_rows(drawn / "pictures", "images")) == 60
    caplog.set_level("INFO")
    main(["--work", str(drawn), "--steps-scale", TINY, "--only", "data"])
    assert [record.getMessage() for record in caplog.records] == ["data: done already"]


def test_a_folder_keeps_to_its_scale(drawn: Path) -> None:
    with pytest.raises(InputError, match=r"begun with --steps-scale 0\.0005"):
        main(["--work", str(drawn), "--only", "tokenizer"])


def test_two_trainings_in_one_folder_are_refused(tmp_path: Path) -> None:
    from filelock import FileLock

    with FileLock(tmp_path / "training.lock"), pytest.raises(InputError, match="trained in by another process"):
        main(["--work", str(tmp_path), "--only", "tokenizer"])
