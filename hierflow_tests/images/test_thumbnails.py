"""A thumbnail is small, named by the image it shows, and known to be whole from a listing."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hierflow.images import Thumbnails
from hierflow.images.thumbnails import make_thumbnail
from hierflow.store.storage import Storage

SHA = "0123456789abcdef" * 4
NOISE = np.random.default_rng(0).integers(0, 256, (400, 500, 3), dtype=np.uint8)


@pytest.fixture
def files(tmp_path: Path) -> Storage:
    return Storage(tmp_path)


def scene(height: int, width: int) -> np.ndarray:
    """Soft colours, as photographs have them."""
    small = np.random.default_rng(1).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return np.array(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [(1024, 1024, (320, 320)), (512, 1024, (320, 160)), (320, 320, (320, 320)), (48, 64, (64, 48))],
)
def test_the_longest_side_is_at_most_320_pixels(height: int, width: int, expected: tuple[int, int]) -> None:
    picture = Image.open(io.BytesIO(make_thumbnail(scene(height, width))))
    assert (picture.format, picture.size) == ("WEBP", expected)


def test_a_thumbnail_looks_like_its_image_and_weighs_some_kilobytes() -> None:
    image = scene(1024, 1024)
    data = make_thumbnail(image)
    assert len(data) < 20_000
    shown = np.array(Image.open(io.BytesIO(data)).resize((1024, 1024)), dtype=float)
    assert np.abs(shown - image).mean() < 6


def test_a_kept_thumbnail_is_found_by_its_images_checksum(files: Storage) -> None:
    path = Thumbnails(files).keep(SHA, NOISE)
    assert Thumbnails(files).whole() == {SHA[:32]: path}
    assert files.read(path) == make_thumbnail(NOISE)


def test_there_is_nothing_before_the_first(files: Storage) -> None:
    assert Thumbnails(files).whole() == {}


@pytest.mark.parametrize("keep", [0, 100, -1])
def test_a_torn_thumbnail_is_not_whole_and_can_be_written_again(files: Storage, keep: int) -> None:
    thumbnails = Thumbnails(files)
    path = thumbnails.keep(SHA, NOISE)
    files.write(path, files.read(path)[:keep])
    assert thumbnails.whole() == {}
    assert thumbnails.keep(SHA, NOISE) == path
    assert thumbnails.whole() == {SHA[:32]: path}


def test_other_files_are_no_thumbnails(files: Storage) -> None:
    files.write("thumbnails/320/readme.txt", b"")
    files.write(f"thumbnails/320/{SHA[:32]}.webp", b"")
    files.write(f"thumbnails/64/{SHA[:32]}-1.webp", b"x")
    assert Thumbnails(files).whole() == {}


def test_it_works_in_an_object_store() -> None:
    files = Storage("memory://thumbnails-test")
    path = Thumbnails(files).keep(SHA, NOISE)
    assert Thumbnails(files).whole() == {SHA[:32]: path}
    files.remove()
