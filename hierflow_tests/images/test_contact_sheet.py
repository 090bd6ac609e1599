"""A contact sheet shows every image and keeps to its size."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from hierflow.images import contact_sheet

RED = np.full((64, 64, 3), (200, 30, 30), np.uint8)
BLUE = np.full((64, 64, 3), (30, 30, 200), np.uint8)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def noise(count: int) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8))


def test_images_stand_in_rows_in_their_order() -> None:
    sheet = opened(contact_sheet([RED, BLUE, BLUE], columns=2, cell=64, format="PNG"))
    assert sheet.size == (2 * 68 + 4, 2 * 68 + 4)
    assert [sheet.getpixel(at) for at in ((36, 36), (104, 36), (36, 104))] == [(200, 30, 30), *[(30, 30, 200)] * 2]
    assert sheet.getpixel((104, 104)) == (250, 250, 248)


def test_an_oblong_image_keeps_its_proportions() -> None:
    sheet = opened(contact_sheet([RED[:32]], cell=64, format="PNG"))
    assert sheet.getpixel((36, 36)) == (200, 30, 30)
    assert sheet.getpixel((36, 10)) == (250, 250, 248)


def test_a_small_image_is_enlarged_pixel_by_pixel() -> None:
    chequers = np.zeros((2, 2, 3), np.uint8)
    chequers[0, 0] = 255
    sheet = opened(contact_sheet([chequers], cell=64, format="PNG"))
    assert {sheet.getpixel((x, 20)) for x in range(4, 68)} == {(255,) * 3, (0,) * 3}


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "PNG"])
def test_a_sheet_keeps_to_its_limit(format: str) -> None:  # noqa: A002
    for limit in (100_000, 20_000):
        data = contact_sheet(noise(20), ["noise"] * 20, limit_bytes=limit, format=format)
        assert 1000 < len(data) <= limit
        assert Image.open(io.BytesIO(data)).format == format


def test_a_limit_that_is_far_is_not_paid_for_with_quality() -> None:
    large = opened(contact_sheet(noise(4), cell=96, limit_bytes=1_000_000))
    small = opened(contact_sheet(noise(4), cell=96, limit_bytes=3_000))
    assert large.width == 2 * 100 + 4
    assert small.width < large.width


def test_a_limit_out_of_reach_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fit into 200 bytes"):
        contact_sheet(noise(9), limit_bytes=200)


def test_long_labels_are_cut_to_their_cell() -> None:
    bare = opened(contact_sheet([RED, RED], format="PNG"))
    long = opened(contact_sheet([RED, RED], ["word " * 400, ""], format="PNG"))
    assert long.height > bare.height
    under_second = long.crop((104, 102, long.width, long.height))
    assert under_second.getcolors() == [(under_second.width * under_second.height, (250, 250, 248))]
    under_first = long.crop((4, 102, 100, long.height))
    assert len(under_first.getcolors() or []) > 1


def test_labels_of_any_script_are_drawn_without_failing() -> None:
    contact_sheet([RED, BLUE], ["猫🐈\n", "صورة"])


def test_the_same_images_give_the_same_bytes() -> None:
    assert contact_sheet(noise(9), ["a"] * 9) == contact_sheet(noise(9), ["a"] * 9)


def test_pillow_images_of_any_mode_are_shown() -> None:
    sheet = opened(contact_sheet([Image.fromarray(RED).convert("RGBA")], format="PNG"))
    assert sheet.getpixel((50, 50)) == (200, 30, 30)


def test_nothing_to_show_and_labels_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one image"):
        contact_sheet([])
    with pytest.raises(ValueError, match="1 labels for 2 images"):
        contact_sheet([RED, BLUE], ["red"])
