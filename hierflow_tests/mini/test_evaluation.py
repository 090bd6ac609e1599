"""The figures of the model card."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hierflow.mini import WEIGHTS
from hierflow.mini.catalogue.grammar import ATTRIBUTE_SIZES, is_held_out, parse_prompt, prompt_for
from hierflow.mini.evaluation import prompts
from hierflow.mini.evaluation.draws import draw_similarity, picture_similarity
from hierflow.mini.evaluation.judges import Judges, as_markdown, load_judges
from hierflow.mini.evaluation.picture import COLUMNS, beside_renders
from hierflow.mini.evaluation.questioning import one_attribute_changed
from hierflow.mini.evaluation.sampling import MiniModel, load_model
from hierflow.mini.evaluation.table import drawn, peak_signal_to_noise


@pytest.fixture(scope="module")
def judges() -> Judges:
    return load_judges()


@pytest.fixture(scope="module")
def model() -> MiniModel:
    return load_model(WEIGHTS)


def test_both_judges_are_pleased_by_drawn_pictures_and_by_nothing_else(judges: Judges) -> None:
    pictures, truths = drawn(20, seed=5)
    right = judges.row(pictures, [prompt_for(truth) for truth in truths])
    assert min(right[name] or 0 for name in ("product", "all", "yes", "judges agree")) >= 0.9
    wrong = judges.row(np.roll(pictures, 1, axis=0), [prompt_for(truth) for truth in truths])
    assert wrong["all"] == wrong["yes"] == 0
    assert wrong["judges agree"] == 1


def test_a_row_of_short_prompts_has_figures_for_what_they_mention(judges: Judges) -> None:
    pictures, _ = drawn(4, seed=5)
    row = judges.row(pictures, ["a mug"] * 4)
    assert row["color"] is None
    assert "|  |" in as_markdown({"short": row})


def test_every_kind_of_prompt_is_what_it_says() -> None:
    assert len(set(prompts.held_out(50))) > 40
    assert all(map(is_held_out, prompts.held_out(50)))
    assert len(prompts.products()) == 120
    assert {parse_prompt(text).product for text in prompts.products()} == set(range(ATTRIBUTE_SIZES[0]))
    assert {parse_prompt(text)[:2] for text in prompts.colored_products()} == {
        (product, color) for product in range(ATTRIBUTE_SIZES[0]) for color in range(ATTRIBUTE_SIZES[1])
    }


def test_draws_differ_the_more_a_prompt_leaves_open(model: MiniModel) -> None:
    full = draw_similarity(model, ["a photo of a red striped mug on a wooden table"], draws=3)
    bare = draw_similarity(model, ["a fish"], draws=3)
    assert bare < 0.97 < full <= 1


def test_pictures_of_one_prompt_are_alike_but_not_the_same(model: MiniModel) -> None:
    pictures, _ = drawn(4, seed=1)
    assert picture_similarity(model, [pictures[:1].repeat(2, axis=0)]) == pytest.approx(1, abs=1e-5)
    assert picture_similarity(model, [pictures]) < 0.9


def test_every_generated_picture_stands_below_its_render(tmp_path: Path) -> None:
    texts = [prompt_for(one) for one in prompts.held_out(COLUMNS + 1)]
    black = np.zeros((len(texts), 64, 64, 3), np.uint8)
    beside_renders(texts, black, tmp_path / "pictures.jpg")
    with Image.open(tmp_path / "pictures.jpg") as sheet:
        pixels = np.asarray(sheet.convert("L"), np.float64)
    assert pixels.shape[1] == COLUMNS * 128
    assert pixels[128:256].mean() < 5 < pixels[:128].mean()


def test_the_signal_to_noise_ratio_of_known_pictures() -> None:
    first = np.full((1, 2, 2, 3), 100, np.uint8)
    assert peak_signal_to_noise(first, first + np.uint8(10)) == pytest.approx(20 * np.log10(25.5))


def test_a_judge_that_always_denies_is_found_out(judges: Judges) -> None:
    class Denies(Judges):
        def log_odds(self, images: object, prompts: object) -> np.ndarray:
            return np.full(4, -3.0)

    (row,) = one_attribute_changed(Denies(judges.classifier, judges.yes_no), count=4).values()
    assert row["color"] == 1
    assert row["true prompt"] == 0
