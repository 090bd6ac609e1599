"""A prompt that a model's weights give NaN for, from the command line: the others are made, and it is told of."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hierflow_tests.image_sets import FOUR, command, rows_of, run, write_document
from hierflow_tests.tiny_models import tiny_learned
from hierflow_tests.tiny_models.nan import save_without_letter

__all__ = ["tiny_learned"]

BAD = "a zebra"
WHY = "the prior gave NaN for the prompt 'a zebra'; reword it, or check the model's files"


@pytest.fixture
def document(tiny_learned: Path, tmp_path: Path) -> Path:
    """Four prompts in two partitions, and one that cannot be encoded between them."""
    model = save_without_letter(tiny_learned, tmp_path / "model")
    prompts = {"text": [*FOUR[:2], BAD, *FOUR[2:]]}
    return write_document(tmp_path, prompts=prompts, diffusion={"model": str(model)}, sharing={"tau": 0.3})


def test_plan_run_and_status_tell_of_it_and_a_second_run_redoes_nothing(document: Path) -> None:
    planned = command("plan", document)
    assert planned.code == 0
    (told,) = re.findall(r"\nwarning: (a prompt cannot be encoded .+)", planned.stdout)

    first = command("run", document)
    assert first.code == 1
    assert first.stdout.endswith(f"\nfailed: {told}\n")
    assert "4 of 5 prompts (incomplete)" in first.stdout
    assert [row["status"] for row in rows_of(document)] == ["current", "current", "failed", "current", "current"]
    assert rows_of(document)[2]["error"] == WHY
    status = command("status", document)
    prompt_id = rows_of(document)[2]["prompt_id"]
    assert told == f"a prompt cannot be encoded and is left out: {prompt_id!r}: {WHY}"
    assert f"\nfailed: {prompt_id}, 'a zebra': {WHY}" in status.stdout
    assert "2 fresh" in status.stdout

    second = run(document)
    assert (second.code, second.json["complete"], second.json["evaluations"]["executed"]) == (1, False, 0)
    assert second.json["partitions"] == {"total": 2, "run": 0, "skipped": 2, "failed": 0, "left": {}}
    assert f"failed: {told}" in second.stderr
    assert f"{second.json['evaluations']['planned']:,} evaluations with shared steps" in planned.stdout
    assert command("audit", document).code == 0
