"""A prompt that cannot be encoded, in real Dagster runs: a red check, and every partition all the same."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
import torch

from hierflow.models.families.kandinsky22 import Kandinsky22
from hierflow_tests.assets.dagster_sets import NAMES, Served
from hierflow_tests.assets.test_continuation import step_of, ticks
from hierflow_tests.image_sets import FOUR, rows_of, write_document
from hierflow_tests.tiny_models import tiny_learned

__all__ = ["tiny_learned"]

BAD = "a *bold* | zebra"


@pytest.fixture
def served(tiny_learned: Path, tmp_path: Path) -> Served:
    """Four prompts in two partitions, and one for which the prior gives NaN."""
    diffusion = {"model": str(tiny_learned), "steps": 4, "prior_steps": 2}
    prompts = {"text": [*FOUR, BAD]}
    return Served(write_document(tmp_path, prompts=prompts, diffusion=diffusion, sharing={"tau": 0.3}))


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The prior gives NaN for it until this is undone."""
    real = Kandinsky22.encoded

    def encoded(self: Kandinsky22, texts: list[str], hashes: list[str]) -> dict[str, torch.Tensor]:
        made = real(self, texts, hashes)
        made["image_embeds"][[row for row, text in enumerate(texts) if text == BAD]] = torch.nan
        return made

    monkeypatch.setattr(Kandinsky22, "encoded", encoded)
    return monkeypatch


def checks_of(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {check.check_name: check for check in result.get_asset_check_evaluations()}


def test_the_sensor_makes_the_others_and_rests_and_a_later_request_makes_it(
    served: Served, broken: pytest.MonkeyPatch
) -> None:
    result = served.execute(NAMES.plan_job)
    assert result.success
    check = checks_of(result)["encoded"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert check.metadata["left_out"].value == 1
    table = str(check.metadata["prompts"].value)
    assert r"a \*bold\* \| zebra" in table
    assert served.metadata("prompt_embeddings")["dagster/row_count"] == 4
    launched = ticks(served)
    assert sorted(key for keys in launched[:-2] for key in keys) == sorted(served.partitions)
    assert launched[-2:] == [[NAMES.finish_job], [NAMES.quality_job]]
    assert step_of(served).reason.startswith("everything is made")
    assert served.metadata("image_set")["missing"] == 1
    assert served.metadata("image_set")["complete"] is False
    assert served.served.stage("a", "look").store.files.exists("retained.json")  # what only a resume needs is gone
    assert [row["status"] for row in rows_of(served.document)] == ["current"] * 4 + ["failed"]

    finished = checks_of(served.execute(NAMES.finish_job))
    assert {name: check.passed for name, check in finished.items()} == {"complete": False, "books_balance": True}

    broken.undo()
    cured = served.execute(NAMES.plan_job)
    assert checks_of(cured)["encoded"].passed
    ((key,), *_) = ticks(served)
    assert key in served.partitions
    assert [row["status"] for row in rows_of(served.document)] == ["current"] * 5
    assert served.metadata("image_set")["complete"] is True
