"""A run that is killed is taken up by another process, of every family, with the same images to the bit."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hierflow.spec import ImageSetSpec, SharingSpec
from hierflow_tests.models.families.made import PROMPTS, SPLITTING, Made
from hierflow_tests.stages.runs import assert_equal, carry_out, spec_of, stage_of
from hierflow_tests.stages.test_resume import KILLED
from hierflow_tests.tiny_models import save_tiny_kandinsky

pytestmark = pytest.mark.slow

LAST = 3
"""The evaluation (0-based) in which the first process is killed; states are kept after step 2."""


def process(spec: ImageSetSpec, folder: Path, killed_at: int) -> subprocess.CompletedProcess[str]:
    """A process of its own that makes the set; killed in that evaluation, or, with -1, not at all."""
    file = folder / "spec.json"
    file.write_text(spec.model_dump_json(exclude_unset=True), "utf-8")
    return subprocess.run(
        [sys.executable, "-c", KILLED, str(file), str(killed_at)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )


def assert_taken_up(spec: ImageSetSpec, undisturbed: ImageSetSpec, folder: Path) -> None:
    killed = process(spec, folder, LAST)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    stage = stage_of(spec)
    (lost,) = (entry for entry in stage.store.ledger.entries() if entry.stage == "partition")
    assert lost.status == "lost"
    assert lost.evaluations > 0
    ended = process(spec, folder, -1)
    assert ended.returncode == 0, ended.stderr
    (taken_up,) = (entry for entry in stage.store.ledger.entries() if entry.status == "done" and entry.evaluations)
    run, whole = carry_out(spec), carry_out(undisturbed)
    assert [entry for entry in run.entries if entry.evaluations] == []
    assert 0 < taken_up.evaluations < run.compiled.document.planned
    assert_equal(run.latents(), whole.latents())
    assert_equal(run.pixels(), whole.pixels())


def test_what_a_killed_process_left_another_one_completes(made: Made, tmp_path: Path) -> None:
    sharing = {"sharing": SharingSpec(tau=SPLITTING, checkpoint_every=2)}
    spec = made.spec(storage=tmp_path / "out").model_copy(update=sharing)
    assert_taken_up(spec, made.spec(), tmp_path)


def test_what_a_killed_process_left_of_kandinsky_another_one_completes(tmp_path: Path) -> None:
    folder = save_tiny_kandinsky(tmp_path / "model", learned_variance=True)
    settings = {"prompts": PROMPTS, "sharing": {"tau": 0.3, "checkpoint_every": 2}}
    assert_taken_up(spec_of(folder, storage=tmp_path / "out", **settings), spec_of(folder, **settings), tmp_path)
