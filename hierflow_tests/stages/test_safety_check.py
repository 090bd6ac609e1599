"""What the safety checker says of an image is a score; the image stays as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hierflow.errors import InputError
from hierflow.models.pipeline_adapter import PipelineAdapter
from hierflow.models.registry import open_model
from hierflow.scoring.choice import Scorers
from hierflow.spec import DiffusionSpec, ScoringSpec
from hierflow_tests.stages.runs import Run, assert_equal, carry_out, spec_of
from hierflow_tests.tiny_models import SIZE, save_tiny_kandinsky, save_tiny_stable_diffusion

PROMPTS = ["a red mug", "a blue mug", "xyz 99"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny models, one with a checker that takes offence at everything, one with a mild one."""
    folder = tmp_path_factory.mktemp("models")
    for name, offended in (("strict", True), ("mild", False)):
        save_tiny_stable_diffusion(folder / name, offended=offended)
    return folder


def run(model: Path, storage: Path, **settings: Any) -> Run:
    return carry_out(spec_of(model, prompts=PROMPTS, storage=storage, steps=3, height=SIZE, width=SIZE, **settings))


def flags(made: Run) -> list[float | None]:
    return [row.scores.get("flagged") for row in made.assembled.rows]


def test_a_flag_is_recorded_and_no_image_is_changed(models: Path, tmp_path: Path) -> None:
    plain = run(models / "strict", tmp_path / "plain")
    checked = run(models / "strict", tmp_path / "checked", safety_check=str(models / "strict" / "safety_checker"))
    assert flags(plain) == [None] * 3
    assert flags(checked) == [1.0] * 3
    assert_equal(checked.pixels(), plain.pixels())
    assert all(image.any() for image in plain.pixels().values())


def test_a_new_checker_neither_denoises_nor_decodes(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("an image was made again")

    before = run(models / "mild", tmp_path)
    for work in ("predict", "decode", "encode"):
        monkeypatch.setattr(PipelineAdapter, work, refuse)
    for name, expected in (("strict", 1.0), ("mild", 0.0)):
        made = run(models / "mild", tmp_path, safety_check=str(models / name / "safety_checker"))
        assert flags(made) == [expected] * 3
        assert made.account.books.executed == 0
        assert_equal(made.pixels(), before.pixels())
    assert run(models / "mild", tmp_path, safety_check=str(models / "mild" / "safety_checker")).ran == []


def test_it_goes_beside_a_models_own_score(models: Path, tmp_path: Path) -> None:
    kandinsky = save_tiny_kandinsky(tmp_path / "model", learned_variance=False)
    made = run(kandinsky, tmp_path / "out", safety_check=str(models / "strict" / "safety_checker"))
    assert [sorted(row.scores) for row in made.assembled.rows] == [["clip_similarity", "flagged"]] * 3
    assert flags(made) == [1.0] * 3


def test_its_version_follows_its_weights_and_loads_nothing(models: Path) -> None:
    def version(checker: str) -> str:
        spec = DiffusionSpec(model="mild", steps=3, safety_check=f"{checker}/safety_checker")
        adapter = open_model(spec, models)
        assert not {"encoder", "denoiser"} & vars(adapter.loaded).keys()  # type: ignore[attr-defined]
        return Scorers(ScoringSpec(), adapter, models, None).versions["flagged"]

    assert version("mild") == version("mild") != version("strict")


def test_neighbours_change_no_flag(models: Path) -> None:
    import numpy as np

    spec = DiffusionSpec(model="mild", steps=3, safety_check="strict/safety_checker")
    checker = Scorers(ScoringSpec(), open_model(spec, models), models, None).of("flagged")
    images = list(np.random.default_rng(0).integers(0, 255, (11, SIZE, SIZE, 3), dtype=np.uint8))
    before = [image.copy() for image in images]
    assert checker.score(images, [""] * 11) == [1.0] * 11
    assert all((one == other).all() for one, other in zip(images, before, strict=True))
    with pytest.raises(ValueError, match="11 images for 2 prompts"):
        checker.score(images, ["", ""])


def test_what_is_no_checker_is_refused(models: Path) -> None:
    for name, problem in {
        "nowhere": "is neither a folder nor a hub id",
        "mild/unet": "is no Stable Diffusion safety checker",
        "mild": "is no Stable Diffusion safety checker",
    }.items():
        spec = DiffusionSpec(model="mild", steps=3, safety_check=name)
        with pytest.raises(InputError, match=rf"diffusion\.safety_check: '{name}' {problem}"):
            open_model(spec, models)
