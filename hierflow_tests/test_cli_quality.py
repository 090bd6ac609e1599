"""A quality floor on the command line: missed is missed, however often the command is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from hierflow.scoring.quality_floor import Verdict
from hierflow.stages.quality import assessment as quality
from hierflow.stages.reports.assembly import QUALITY
from hierflow_tests.image_sets import run, write_document
from hierflow_tests.tiny_models import tiny_learned

__all__ = ["tiny_learned"]

REASON = "win rate 0.1 (0.05 to 0.15) is below the floor of 0.4"


def test_a_missed_floor_fails_every_run_and_leaves_the_set_complete(
    tiny_learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[float] = []

    def blocked(judgements: object, floor: float) -> Verdict:
        judged.append(floor)
        return Verdict("blocked", REASON)

    monkeypatch.setattr(quality, "verdict", blocked)
    document = write_document(
        tmp_path,
        prompts={"text": ["a red mug", "a blue mug"]},
        diffusion={"model": str(tiny_learned), "steps": 3, "prior_steps": 2},
        scoring={"baseline_sample": 2, "quality_floor": 0.4},
    )
    for _ in range(2):
        ended = run(document)
        assert (ended.code, ended.json["complete"]) == (1, True)
        assert ended.stderr.count(f"failed: trial_quality: {REASON}\n") == 1
        assert "blocking asset check" not in ended.stderr
    assert judged == [0.4]

    (tmp_path / "out" / "trial" / QUALITY).unlink()  # nobody gets past a floor by losing what was said of it
    assert run(document).code == 1
    assert judged == [0.4, 0.4]
