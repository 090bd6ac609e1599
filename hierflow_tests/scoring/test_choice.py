"""Which scores a document asks for, and what is wrong with asking."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hierflow.document import validated
from hierflow.errors import InputError
from hierflow.models.registry import open_model
from hierflow.models.runtime import FIXED_BATCH
from hierflow.scoring.choice import Scorers
from hierflow.scoring.image_text_model import ImageTextModel
from hierflow.spec import DiffusionSpec, ScoringSpec
from hierflow_tests.tiny_models.clip import save_tiny_clip
from hierflow_tests.tiny_models.judges import save_tiny_llava
from hierflow_tests.tiny_models.stable_diffusion import save_tiny_stable_diffusion


@pytest.fixture(scope="module")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def tiny_llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_llava(tmp_path_factory.mktemp("llava"))


def scorers(model: Path | str, judge: Path | None = None, **section: Any) -> Scorers:
    adapter = open_model(DiffusionSpec(model=str(model), steps=4), Path())
    return Scorers(ScoringSpec.model_validate(section), adapter, Path(), judge)


def test_by_default_images_have_the_scores_that_the_model_brings(tiny_learned: Path) -> None:
    assert list(scorers(tiny_learned).versions) == ["clip_similarity"]
    assert scorers(tiny_learned).compared == ["clip_similarity"]


def test_the_encoders_that_score_make_room_when_they_have_done_so(
    tiny_learned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter: Any = open_model(DiffusionSpec(model=str(tiny_learned), steps=4), Path())
    turns: list[list[str]] = []
    monkeypatch.setattr(
        adapter.loaded.placement, "place", lambda *networks: turns.append([type(one).__name__ for one in networks])
    )
    own = Scorers(ScoringSpec(), adapter, Path(), None)
    assert turns == []
    own.of("clip_similarity").score([np.zeros((32, 32, 3), np.uint8)], ["a mug"])
    assert own.embedder is not None
    own.embedder.image_embeddings([np.zeros((32, 32, 3), np.uint8)])
    assert turns == [["CLIPTextModelWithProjection", "CLIPVisionModelWithProjection"], []] * 2


def test_no_metrics_are_no_scores(tiny_learned: Path) -> None:
    assert scorers(tiny_learned, metrics=[]).versions == {}
    assert scorers(tiny_learned, metrics=[]).embedder is None


def test_a_clip_of_ones_own_takes_the_place_of_the_models(tiny_learned: Path, tiny_clip: Path) -> None:
    own = scorers(tiny_learned, metrics=["clip"])
    other = scorers(tiny_learned, metrics=["clip"], clip={"model": str(tiny_clip)})
    assert list(own.versions) == ["clip_similarity"]
    assert list(other.versions) == ["clip"]
    assert other.of("clip").name == "clip"
    assert other.embedder is other.of("clip")


def test_the_judge_that_reads_images_comes_first(tiny_learned: Path, tiny_llava: Path) -> None:
    both = scorers(tiny_learned, metrics=["clip", "vqa"], vqa={"model": str(tiny_llava)})
    assert both.compared == ["vqa", "clip_similarity"]
    given = scorers(tiny_learned, judge=tiny_llava, metrics=["vqa"])
    assert given.versions["vqa"] == both.versions["vqa"]
    asked = scorers(tiny_learned, metrics=["vqa"], vqa={"model": str(tiny_llava), "question": "{prompt}?"})
    assert asked.versions["vqa"] != both.versions["vqa"]


@pytest.mark.parametrize("settings", [{"deterministic": False}, {"dtype": "bfloat16", "deterministic": True}])
def test_whether_bits_are_promised_the_document_says_for_the_judge_too(
    tiny_learned: Path, tiny_llava: Path, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    monkeypatch.setattr(ImageTextModel, "log_odds", lambda self, asked: sizes.append(len(asked)) or torch.ones(8))
    adapter = open_model(DiffusionSpec(model=str(tiny_learned), steps=4, **settings), Path())
    section = ScoringSpec.model_validate({"metrics": ["vqa"], "vqa": {"model": str(tiny_llava)}})
    Scorers(section, adapter, Path(), None).of("vqa").score([np.zeros((32, 32, 3), np.uint8)], ["a mug"])
    assert sizes == [FIXED_BATCH if settings["deterministic"] else 1]


def test_a_score_without_a_model_is_refused_with_the_field_to_set(tiny_learned: Path) -> None:
    with pytest.raises(InputError, match=r"scoring\.vqa\.model") as caught:
        _ = scorers(tiny_learned, metrics=["vqa"]).versions
    assert caught.value.field == "scoring.metrics"


def test_baselines_that_nothing_could_judge_are_refused(tmp_path: Path) -> None:
    model = save_tiny_stable_diffusion(tmp_path)
    assert scorers(model).versions == {}
    with pytest.raises(InputError, match=r"name a model: scoring\.metrics: \[vqa\]") as caught:
        _ = scorers(model, baseline_sample=6).versions
    assert caught.value.field == "scoring.baseline_sample"


@pytest.mark.parametrize(
    ("section", "field"),
    [
        ({"clip": {"model": "./mine"}}, "scoring.clip.model"),
        ({"metrics": ["clip"], "vqa": {"question": "{prompt}?"}}, "scoring.vqa.question"),
        ({"quality_floor": 0.45}, "scoring.quality_floor"),
        ({"baseline_sample": 64, "metrics": []}, "scoring.baseline_sample"),
    ],
)
def test_what_needs_something_else_says_so(section: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as caught:
        validated(ScoringSpec, section)
    assert caught.value.field == field
