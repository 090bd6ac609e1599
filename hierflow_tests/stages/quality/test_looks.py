"""Looking at images: each once, all of them, and again where it is another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hierflow.scoring import ClipSimilarity
from hierflow.scoring.choice import Scorers
from hierflow.stages.quality.assessment import assess
from hierflow.stages.quality.looks import looks_of
from hierflow.store.ledger import MEASURED
from hierflow_tests.stages.runs import carry_out, spec_of, stage_of


def test_every_image_is_opened_once(tiny_learned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = carry_out(spec_of(tiny_learned))
    images = [(row.image_path, row.image_sha256) for row in run.assembled.rows]
    first, shas = looks_of(run.stage, run.compiled, images), [sha for _, sha in images]
    assert first.of.keys() == set(shas)
    np.testing.assert_allclose(np.linalg.norm(first.embeddings(shas), axis=1), 1.0, rtol=1e-5)
    assert not any(look.blank for look in first.of.values())
    booked = [entry for entry in run.stage.store.ledger.entries() if entry.stage == MEASURED]
    assert [(entry.status, entry.evaluations, entry.plan) for entry in booked] == [
        ("done", 0, run.compiled.document.id)
    ]
    assert booked[0].seconds["score"] > 0

    monkeypatch.setattr(Scorers, "embedder", property(lambda self: pytest.fail("it looks again")))
    again = looks_of(run.stage, run.compiled, images[::-1])
    np.testing.assert_array_equal(again.embeddings(shas), first.embeddings(shas))
    assert len(looks_of(run.stage, run.compiled, images[:2]).of) == 2
    assert [entry for entry in run.stage.store.ledger.entries() if entry.stage == MEASURED] == booked


def test_images_of_a_set_without_a_clip_model_have_no_embeddings(tiny_learned: Path) -> None:
    spec = spec_of(tiny_learned)
    run = carry_out(spec.model_copy(update={"scoring": spec.scoring.model_copy(update={"metrics": ()})}))
    found = looks_of(run.stage, run.compiled, [(row.image_path, row.image_sha256) for row in run.assembled.rows])
    assert len(found.of) == len(run.assembled.rows)
    assert found.embeddings(list(found.of)).shape == (len(run.assembled.rows), 0)


def test_a_damaged_image_is_named_and_left_out_and_the_next_run_makes_it_again(
    tiny_learned: Path, tmp_path: Path
) -> None:
    spec = spec_of(tiny_learned, storage=tmp_path)
    run = carry_out(spec)
    row, *rest = run.assembled.rows
    files, said = run.stage.store.files, list[str]()
    whole = files.read(row.image_path)
    files.write(row.image_path, whole[:-30] + bytes([whole[-30] ^ 1]) + whole[-29:])
    stage = replace(stage_of(spec), say=said.append)
    quality = assess(stage, run.compiled, run.prompts, run.assembled.rows)
    assert quality.diversity["set"].images == len(rest)
    assert any(row.image_path in sentence and "damaged" in sentence for sentence in said)

    again = carry_out(spec)
    assert (again.assembled.complete, again.account.books.executed) == (True, 0)
    assert files.read(row.image_path) == whole
    quality = assess(again.stage, again.compiled, again.prompts, again.assembled.rows)
    assert quality.diversity["set"].images == len(rest) + 1


def test_an_image_without_a_finite_embedding_is_named_and_compared_with_no_other(
    tiny_learned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = carry_out(spec_of(tiny_learned))
    real, said = ClipSimilarity.image_embeddings, list[str]()

    def spoilt(self: ClipSimilarity, images: list[np.ndarray]) -> np.ndarray:
        made = real(self, images)
        made[0] = np.nan
        return made

    monkeypatch.setattr(ClipSimilarity, "image_embeddings", spoilt)
    stage = replace(run.stage, say=said.append)
    quality = assess(stage, run.compiled, run.prompts, run.assembled.rows)
    assert quality.diversity["set"].images == len(run.assembled.rows) - 1
    (sentence,) = said
    assert "has no finite embedding" in sentence
    assert sentence.partition(" ")[0] in {row.image_path for row in run.assembled.rows}
