"""A contact sheet shows every image and keeps to its size."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from hierflow.images import contact_sheet

CELL = 96
PAPER = (250, 250, 248)
RED, BLUE = (200, 30, 30), (30, 30, 200)
LIMIT = 100_000


def plain(color: tuple[int, int, int], height: int = 64) -> np.ndarray:
    return np.full((height, 64, 3), color, np.uint8)


def noise(count: int) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8))


def opened(data: bytes) -> Image.Image:
    sheet = Image.open(io.BytesIO(data))
    assert sheet.format == "JPEG"
    return sheet.convert("RGB")


def shows(sheet: Image.Image, at: tuple[int, int], color: tuple[int, int, int]) -> bool:
    """Whether the sheet has a colour at a place, as far as a JPEG keeps it."""
    return bool(np.abs(np.subtract(sheet.getpixel(at), color)).max() < 10)


def test_images_stand_in_rows_in_their_order() -> None:
    sheet = opened(contact_sheet([plain(RED), plain(BLUE), plain(BLUE)], LIMIT))
    assert sheet.size == (2 * (CELL + 4) + 4, 2 * (CELL + 4) + 4)
    assert shows(sheet, (50, 50), RED)
    assert shows(sheet, (150, 50), BLUE)
    assert shows(sheet, (50, 150), BLUE)
    assert shows(sheet, (150, 150), PAPER)


def test_an_oblong_image_keeps_its_proportions() -> None:
    sheet = opened(contact_sheet([plain(RED, height=32)], LIMIT))
    assert shows(sheet, (50, 50), RED)
    assert shows(sheet, (50, 14), PAPER)


def test_a_small_image_is_enlarged_pixel_by_pixel() -> None:
    chequers = np.zeros((2, 2, 3), np.uint8)
    chequers[0, 0] = 255
    sheet = opened(contact_sheet([chequers], LIMIT))
    assert shows(sheet, (44, 20), (255,) * 3)
    assert shows(sheet, (60, 20), (0,) * 3)


@pytest.mark.parametrize("limit", [100_000, 20_000])
def test_a_sheet_keeps_to_its_limit(limit: int) -> None:
    assert 1000 < len(contact_sheet(noise(20), limit)) <= limit


def test_a_limit_that_is_far_is_not_paid_for_with_size() -> None:
    large, small = opened(contact_sheet(noise(4), 1_000_000)), opened(contact_sheet(noise(4), 3_000))
    assert large.width == 2 * (CELL + 4) + 4
    assert small.width < large.width


def test_a_limit_out_of_reach_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fit into 200 bytes"):
        contact_sheet(noise(9), 200)


def test_nothing_to_show_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one image"):
        contact_sheet([], LIMIT)
