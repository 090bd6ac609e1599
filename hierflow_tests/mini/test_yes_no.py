"""The yes/no judge that ships: loaded and asked by the code that asks real models."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from hierflow.mini import YES_NO_JUDGE
from hierflow.mini.catalogue.grammar import ATTRIBUTE_NAMES, Attributes, Mentions, prompt_for
from hierflow.mini.evaluation.table import drawn
from hierflow.mini.training.claims import changed
from hierflow.scoring.vqa import VqaScore, load_vqa

COUNT = 40


@pytest.fixture(scope="module")
def judge() -> VqaScore:
    return load_vqa(str(YES_NO_JUDGE))


@pytest.fixture(scope="module")
def held_out() -> tuple[NDArray[np.uint8], list[Attributes]]:
    return drawn(COUNT, seed=2026)


def log_odds(judge: VqaScore, pictures: NDArray[np.uint8], prompts: list[str]) -> NDArray[np.float64]:
    return np.array(judge.score(list(pictures), prompts))


def test_it_says_yes_to_what_a_picture_shows(
    judge: VqaScore, held_out: tuple[NDArray[np.uint8], list[Attributes]]
) -> None:
    pictures, truths = held_out
    assert np.mean(log_odds(judge, pictures, [prompt_for(truth) for truth in truths]) > 0) >= 0.9
    only_product = Mentions(True, False, False, False, False)
    assert np.mean(log_odds(judge, pictures, [prompt_for(truth, only_product) for truth in truths]) > 0) >= 0.9


@pytest.mark.parametrize("column", range(len(ATTRIBUTE_NAMES)), ids=ATTRIBUTE_NAMES)
def test_it_says_no_when_one_attribute_is_another(
    judge: VqaScore, held_out: tuple[NDArray[np.uint8], list[Attributes]], column: int
) -> None:
    pictures, truths = held_out
    rng = np.random.default_rng(column)
    claims = [prompt_for(changed(truth, column, rng)) for truth in truths]
    assert np.mean(log_odds(judge, pictures, claims) < 0) >= 0.9


def test_its_score_falls_with_what_can_be_seen(
    judge: VqaScore, held_out: tuple[NDArray[np.uint8], list[Attributes]]
) -> None:
    pictures, truths = held_out
    prompts = [prompt_for(truth) for truth in truths]
    blurred = np.stack([Image.fromarray(picture).filter(ImageFilter.GaussianBlur(3)) for picture in pictures])
    clear, dim = (log_odds(judge, seen, prompts).mean() for seen in (pictures, blurred))
    assert clear > dim + 1


def test_it_is_small_and_neither_pickle_nor_code() -> None:
    files = [path for path in YES_NO_JUDGE.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 3e6
    assert {path.suffix for path in files} == {".json", ".jinja", ".safetensors"}
