"""Looking at images: each once, all of them, and again where it is another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hierflow.scoring.choice import Scorers
from hierflow.stages.looks import looks_of
from hierflow_tests.stages.runs import carry_out, spec_of


def test_every_image_is_opened_once(tiny_learned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = carry_out(spec_of(tiny_learned))
    images = [(row.image_path, row.image_sha256) for row in run.assembled.rows]
    first = looks_of(run.stage, images)
    assert first.embeddings.shape[0] == len(images)
    np.testing.assert_allclose(np.linalg.norm(first.embeddings, axis=1), 1.0, rtol=1e-5)
    assert not first.blank.any()

    monkeypatch.setattr(Scorers, "embedder", property(lambda self: pytest.fail("it looks again")))
    again = looks_of(run.stage, images[::-1])
    np.testing.assert_array_equal(again.embeddings, first.embeddings[::-1])
    assert looks_of(run.stage, images[:2]).blank.shape == (2,)


def test_images_of_a_set_without_a_clip_model_have_no_embeddings(tiny_learned: Path) -> None:
    spec = spec_of(tiny_learned)
    run = carry_out(spec.model_copy(update={"scoring": spec.scoring.model_copy(update={"metrics": ()})}))
    found = looks_of(run.stage, [(row.image_path, row.image_sha256) for row in run.assembled.rows])
    assert found.embeddings.shape == (len(run.assembled.rows), 0)
    assert found.blank.shape == (len(run.assembled.rows),)
