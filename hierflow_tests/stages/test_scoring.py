"""Decoding and scoring go chunk by chunk: what breaks off loses one, and a score that is no number stands alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hierflow.assets.displays.partition import partition_metadata
from hierflow.models.families.kandinsky22 import Kandinsky22
from hierflow.stages.context import Stage
from hierflow.stages.making import images, scores
from hierflow.stages.making.todo import todo
from hierflow.stages.overview.partition_states import partition_states
from hierflow.stages.reports.image_set import assembled
from hierflow_tests.stages.runs import PROMPTS, carried_out, carry_out, planned, spec_of, stage_of

CHUNK = 2


class UnreachableError(Exception):
    """Stands for a judge that does not answer."""


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (images, scores):
        monkeypatch.setattr(module, "CHUNK", CHUNK)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images each call has decoded."""
    counts, real = list[int](), Kandinsky22.decode

    def decode(self: Kandinsky22, latents: Any) -> Any:
        counts.append(len(latents))
        return real(self, latents)

    monkeypatch.setattr(Kandinsky22, "decode", decode)
    return counts


def scoring(stage: Stage, score: Any) -> Stage:
    """The stage, with a judge of its own in place of its scorer."""
    judge: Any = SimpleNamespace(score=score)
    stage.scorers.of = lambda name: judge  # type: ignore[method-assign]
    return stage


def test_a_judge_that_fails_costs_one_chunk(tiny_learned: Path, tmp_path: Path, decoded: list[int]) -> None:
    spec, calls = spec_of(tiny_learned, storage=tmp_path), list[int]()

    def fail_at_the_third(shown: Sequence[np.ndarray], texts: Sequence[str]) -> list[float]:
        calls.append(len(shown))
        if len(calls) == 3:
            raise UnreachableError("no answer")
        return [0.5] * len(shown)

    stage = scoring(stage_of(spec), fail_at_the_third)
    with pytest.raises(UnreachableError):
        carried_out(stage)
    assert decoded == [CHUNK] * 3
    compiled, prompts = planned(stage)
    rows = assembled(stage, compiled, prompts).rows
    assert sum(row.status == "current" for row in rows) == 2 * CHUNK
    assert {row.error for row in rows if row.status != "current"} == {"UnreachableError: no answer"}
    assert todo(stage.store, compiled) == compiled.document.keys
    (state,) = partition_states(stage, compiled, rows, stage.store.ledger.entries())
    assert (state.condition, len(state.prompts)) == ("failed", CHUNK)

    again = carry_out(spec)
    assert again.assembled.complete
    assert sum(decoded) == len(PROMPTS) + CHUNK
    assert (again.account.books.executed, again.account.books.problems) == (0, ())
    paid = sum(row.evaluations_paid for row in again.assembled.rows)
    assert paid == pytest.approx(again.account.executed_ever)


def test_an_image_without_a_finite_score_is_current_and_lacks_that_score_alone(
    tiny_learned: Path, tmp_path: Path
) -> None:
    said: list[str] = []

    def score(shown: Sequence[np.ndarray], texts: Sequence[str]) -> list[float]:
        return [math.nan if text == PROMPTS[0] else 0.5 for text in texts]

    run = carried_out(scoring(replace(stage_of(spec_of(tiny_learned, storage=tmp_path)), say=said.append), score))
    assert run.assembled.complete
    found = {row.prompt: dict(row.scores) for row in run.assembled.rows}
    assert found == {text: {} if text == PROMPTS[0] else {"clip_similarity": 0.5} for text in PROMPTS}
    (sentence,) = said
    assert "gets no score 'clip_similarity', which came out as nan" in sentence
    assert run.assembled.rows[0].image_path in sentence
    record = run.stage.store.records.load(run.compiled.document.partitions[0].slice)
    assert record is not None
    assert partition_metadata(run.stage, run.prompts, record)["quality_scores"]["unscored"] == 1
    assert carry_out(spec_of(tiny_learned, storage=tmp_path)).ran == []
