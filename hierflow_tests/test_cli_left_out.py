"""A prompt that a model's weights give NaN for, from the command line: the others are made, and it is told of."""

from __future__ import annotations

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
    planned = command("plan", document, "--json")
    ((prompt_id, why),) = planned.json["left_out"].items()
    assert (planned.code, why, planned.json["prompts"], planned.json["images"]) == (0, WHY, 5, 4)
    told = f"a prompt cannot be encoded and is left out: {prompt_id!r}: {WHY}"
    assert f"\nwarning: {told}\n" in command("plan", document).stdout

    first = command("run", document)
    assert first.code == 1
    assert first.stdout.endswith(f"\nfailed: {told}\n")
    assert "4 of 5 prompts (incomplete)" in first.stdout
    assert [row["status"] for row in rows_of(document)] == ["current", "current", "failed", "current", "current"]
    assert rows_of(document)[2]["error"] == WHY
    status = command("status", document)
    assert f"\nfailed: {prompt_id}: {WHY}" in status.stdout
    assert "2 fresh" in status.stdout

    second = run(document)
    assert (second.code, second.json["complete"], second.json["evaluations"]["executed"]) == (1, False, 0)
    assert second.json["partitions"] == {"total": 2, "run": 0, "skipped": 2, "failed": 0}
    assert f"failed: {told}" in second.stderr
    assert planned.json["evaluations"]["planned"] == second.json["evaluations"]["planned"]
    assert command("audit", document).code == 0

    write_document(
        document.parent,
        prompts={"text": [*FOUR[:2], "a horse", *FOUR[2:]]},
        diffusion={"model": str(document.parent / "model")},
        sharing={"tau": 0.3},
    )
    reworded = run(document)
    assert (reworded.code, reworded.json["complete"], reworded.json["images"]) == (0, True, 5)
    assert 0 < reworded.json["evaluations"]["executed"] <= 4


def test_more_than_half_of_the_set_stops_the_run_with_a_sentence(document: Path, tmp_path: Path) -> None:
    write_document(
        tmp_path, prompts={"text": [f"a zebra {FOUR[0]}", BAD, FOUR[1]]}, diffusion={"model": str(tmp_path / "model")}
    )
    ended = command("run", document)
    assert ended.code == 1
    (line,) = [line for line in ended.stdout.splitlines() if line.startswith("failed: ")]
    assert line.startswith(
        "failed: trial: 2 of 3 prompts cannot be encoded, too many to go on without: the prior gave"
    )
    assert not list(tmp_path.rglob("*.png"))
