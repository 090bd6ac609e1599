"""What `hierflow status` says of a set that is not whole: what failed, and what has merely not been made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hierflow.models.families.kandinsky22 import Kandinsky22
from hierflow.spec import ImageSetSpec
from hierflow.stages.making.images import make_partition
from hierflow.stages.overview.summary import status_of
from hierflow.terminal.status import describe_status
from hierflow_tests.stages.runs import PROMPTS, carry_out, planned, spec_of, stage_of


@pytest.fixture
def spec(tiny_learned: Path, tmp_path: Path) -> ImageSetSpec:
    """A set of some partitions without a trunk."""
    return spec_of(tiny_learned, storage=tmp_path, max_prompts=2, sharing={"tau": 0.3})


def status(spec: ImageSetSpec) -> tuple[dict[str, Any], list[str]]:
    """As an object, and in lines."""
    found = {**status_of(stage_of(spec)), "at_work": None}
    return found, describe_status(found).splitlines()


def test_what_no_run_has_tried_has_not_failed(spec: ImageSetSpec) -> None:
    planned(stage_of(spec))
    found, lines = status(spec)
    assert (found["failed"], found["pending"]) == ([], len(PROMPTS))
    assert not [line for line in lines if "failed" in line]
    for prompt in PROMPTS:
        assert [line.split(":")[0] for line in lines if repr(prompt) in line] == ["missing"]


def test_of_two_partitions_the_one_that_failed_is_told_with_its_reason(
    spec: ImageSetSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = stage_of(spec)
    compiled, prompts = planned(stage)

    def refuse(self: Kandinsky22, *arguments: Any) -> Any:
        raise OSError(28, "No space left on device")

    key = compiled.document.keys[0]
    with monkeypatch.context() as patch:
        patch.setattr(Kandinsky22, "predict", refuse)
        with pytest.raises(OSError, match="No space left"):
            make_partition(stage, compiled, prompts, key)
    found, lines = status(spec)
    own = {prompts.distinct[prompts.hashes.index(text)] for text in compiled.texts_of(key)}
    assert {row["prompt"] for row in found["failed"]} == own
    assert found["pending"] == len(PROMPTS) - len(own)
    told = [line for line in lines if line.startswith("failed: ")]
    assert len(told) == 1 + len(own)  # the partition, and its images
    assert all(line.endswith("OSError: [Errno 28] No space left on device") for line in told)


def test_a_lost_file_is_no_failure(spec: ImageSetSpec) -> None:
    run = carry_out(spec)
    row = run.assembled.rows[0]
    run.stage.store.files.delete(row.image_path)
    found, lines = status(spec)
    assert (found["failed"], found["pending"], found["images"]) == ([], 1, len(PROMPTS) - 1)
    assert [line.split(":")[0] for line in lines if repr(row.prompt) in line] == ["stale"]
