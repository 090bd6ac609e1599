"""Blank images: one colour, nearly one colour, or one colour with specks; and what only looks simple."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from hierflow.scoring.blank import is_blank


def flat(colour: tuple[int, int, int] = (0, 0, 0), side: int = 64) -> np.ndarray:
    return np.full((side, side, 3), colour, dtype=np.uint8)


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (200, 30, 90)])
def test_one_colour_is_blank(colour: tuple[int, int, int]) -> None:
    assert is_blank(flat(colour))


def test_a_colour_with_faint_noise_is_blank() -> None:
    noise = np.random.default_rng(0).integers(-3, 4, (64, 64, 3))
    image = (flat((128, 128, 128)) + noise).astype(np.uint8)
    assert is_blank(image)
    image[::32, ::32] = 255
    assert is_blank(image)


def test_a_few_specks_do_not_make_a_picture() -> None:
    image = flat()
    image[::32, ::32] = 255  # four pixels of 4,096
    assert is_blank(image)


def test_a_thin_drawing_on_white_is_a_picture() -> None:
    picture = Image.new("RGB", (256, 256), "white")
    ImageDraw.Draw(picture).ellipse((60, 60, 200, 200), outline="black", width=2)
    assert not is_blank(np.asarray(picture))


def test_two_colours_of_one_grey_are_a_picture_where_both_are_seen() -> None:
    image = flat((76, 76, 76))
    image[:32] = (255, 0, 0)  # the same grey level
    assert not is_blank(image)


def test_two_tones_that_an_eye_tells_apart_are_a_picture() -> None:
    image = flat((100, 100, 100))
    image[:30] += 10
    assert not is_blank(image)


def test_a_smooth_gradient_and_noise_are_pictures() -> None:
    assert not is_blank(np.broadcast_to(np.arange(64, dtype=np.uint8)[:, None, None], (64, 64, 3)))
    assert not is_blank(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
