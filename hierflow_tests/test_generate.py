"""The whole way in one call: prompts in, images and honest books out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fsspec.implementations.memory import MemoryFileSystem

import hierflow
from hierflow import Generation, InputError, RunError
from hierflow.models.families.kandinsky22 import Kandinsky22
from hierflow_tests.tiny_models import SIZE, tiny_learned

__all__ = ["tiny_learned"]

PROMPTS = ["a red mug", "a blue mug", "a red chair", "two green cats"]


def generated(model: Path, prompts: Any = None, **settings: Any) -> Generation:
    settings = {"steps": 5, "prior_steps": 2, "progress": False, **settings}
    return hierflow.generate(PROMPTS if prompts is None else prompts, model=str(model), **settings)


def pixels(result: Generation) -> list[np.ndarray]:
    return [np.asarray(image) for image in result.images]


def test_every_prompt_has_its_image_in_the_order_given(tiny_learned: Path) -> None:
    result, reverse = generated(tiny_learned), generated(tiny_learned, PROMPTS[::-1])
    assert [image.size for image in result.images] == [(SIZE, SIZE)] * 4
    assert result.manifest.column("prompt").to_pylist() == PROMPTS
    for one, other in zip(pixels(result), pixels(reverse)[::-1], strict=True):
        assert np.array_equal(one, other)
    assert len({image.tobytes() for image in pixels(result)}) == 4


def test_the_books_balance_and_sharing_saves(tiny_learned: Path) -> None:
    result = generated(tiny_learned, tau=0.5)
    assert result.audit.books.balanced
    assert result.evaluations == result.plan.evaluations == result.audit.books.executed
    assert 0 < result.plan.saved == result.audit.books.saved
    alone = generated(tiny_learned, tau=0)
    assert alone.evaluations == alone.plan.standard_evaluations == 5 * 4


def test_several_images_of_a_prompt_stand_side_by_side(tiny_learned: Path) -> None:
    result = generated(tiny_learned, images_per_prompt=2)
    assert result.manifest.column("prompt").to_pylist() == [p for p in PROMPTS for _ in range(2)]
    assert result.manifest.column("image_index").to_pylist() == [0, 1] * 4
    images = pixels(result)
    assert all(np.array_equal(one, images[2 * i]) for i, one in enumerate(pixels(generated(tiny_learned))))
    assert not np.array_equal(images[0], images[1])


def test_a_template_has_its_axes_in_the_manifest(tiny_learned: Path) -> None:
    source = {"template": "a {color} {thing}", "axes": {"color": ["red", "blue"], "thing": ["mug", "hat"]}}
    result = generated(tiny_learned, source)
    assert result.manifest.column("color").to_pylist() == ["red", "red", "blue", "blue"]
    assert result.manifest.column("prompt").to_pylist()[1] == "a red hat"


def test_a_second_call_with_the_same_storage_makes_nothing(tiny_learned: Path, tmp_path: Path) -> None:
    first = generated(tiny_learned, storage=tmp_path)
    second = generated(tiny_learned, storage=tmp_path)
    assert (second.evaluations, second.audit.books.reused) == (0, first.evaluations)
    assert second.audit.books.balanced
    assert all(np.array_equal(*pair) for pair in zip(pixels(first), pixels(second), strict=True))
    assert (tmp_path / "generated" / "manifest.parquet").is_file()


def test_what_earlier_calls_left_in_the_storage_has_no_say_in_the_images(tiny_learned: Path, tmp_path: Path) -> None:
    prompts = ["a blue mug", "a red chair"]
    alone = generated(tiny_learned, prompts, tau=3.0)
    earlier = generated(tiny_learned, ["a red mug", "two green cats", "a blue mug"], tau=3.0, storage=tmp_path)
    after = generated(tiny_learned, prompts, tau=3.0, storage=tmp_path)
    again = generated(tiny_learned, ["a red mug", "two green cats", "a blue mug"], tau=3.0, storage=tmp_path)
    assert after.plan.evaluations == alone.plan.evaluations
    assert all(np.array_equal(*pair) for pair in zip(pixels(alone), pixels(after), strict=True))
    assert all(np.array_equal(*pair) for pair in zip(pixels(earlier), pixels(again), strict=True))
    assert again.evaluations == 0


def test_without_storage_calls_know_nothing_of_each_other(tiny_learned: Path) -> None:
    assert generated(tiny_learned).evaluations == generated(tiny_learned).evaluations > 0


def test_sets_of_one_storage_lie_side_by_side(tiny_learned: Path, tmp_path: Path) -> None:
    for name in ("one", "other"):
        assert generated(tiny_learned, storage=tmp_path, name=name).evaluations > 0
    assert {path.name for path in tmp_path.iterdir()} == {"one", "other"}


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"tau": -1.0}, "sharing.tau"),
        ({"tau": float("nan")}, "sharing.tau"),
        ({"linkage": "single"}, "sharing.linkage"),
        ({"steps": 0}, "diffusion.steps"),
        ({"steps": 2.5}, "diffusion.steps"),
        ({"steps": 1000, "scheduler": "unipc"}, "diffusion.steps"),
        ({"prior_steps": 1}, "diffusion.prior_steps"),
        ({"scheduler": "dpmpp_sde"}, "diffusion.scheduler"),
        ({"guidance": 3.0}, "diffusion.guidance"),
        ({"device": "nonsense"}, "diffusion.device"),
        ({"name": "no spaces, please"}, "name"),
        ({"prompts": []}, "prompts"),
        ({"prompts": ["a mug", "  "]}, "prompts"),
        ({"prompts": {"template": "a {color} mug"}}, "prompts"),
        ({"prompts": {"texts": ["a mug"]}}, "prompts.texts"),
    ],
)
def test_wrong_arguments_are_named_before_anything_is_written(
    tiny_learned: Path, tmp_path: Path, settings: dict[str, Any], field: str
) -> None:
    with pytest.raises(InputError) as caught:
        generated(tiny_learned, storage=tmp_path / "out", **settings)
    assert caught.value.field is not None
    assert caught.value.field.startswith(field)
    assert caught.value.remedy
    assert not (tmp_path / "out").exists()


def test_a_model_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"diffusion.model: 'missing' is neither"):
        hierflow.generate(["a mug"], model="missing", storage=tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


def test_one_text_alone_is_not_taken_for_a_list_of_letters(tiny_learned: Path) -> None:
    with pytest.raises(InputError, match="prompts: 'mug' is one text"):
        generated(tiny_learned, "mug")


def test_an_image_that_cannot_be_made_is_an_error_that_names_its_prompt(
    tiny_learned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Kandinsky22.predict
    monkeypatch.setattr(Kandinsky22, "predict", lambda *args: real(*args) * torch.nan)
    with pytest.raises(RunError, match=r"4 images could not be made; the prompt 'a red mug': .*not finite"):
        generated(tiny_learned, seed=99)


def test_words_the_mini_model_does_not_know_are_remarked_upon() -> None:
    result = hierflow.generate(["a red zebra"], steps=1, prior_steps=2, progress=False)
    assert "'zebra'" in result.warnings[0]
    assert result.evaluations == 1


def test_progress_goes_to_stderr(tiny_learned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generated(tiny_learned, progress=True)
    captured = capsys.readouterr()
    assert "embedding prompts: 4 / 4" in captured.err
    assert "denoising" in captured.err
    assert captured.out == ""


def test_without_a_storage_nothing_stays_in_memory(tiny_learned: Path) -> None:
    before = set(MemoryFileSystem.store)
    result = generated(tiny_learned)
    assert set(MemoryFileSystem.store) == before
    assert all(image.getbbox() for image in result.images)
    with pytest.raises(InputError):
        generated(tiny_learned, [" "])
    assert set(MemoryFileSystem.store) == before
