"""PNG files carry their pixels and their provenance, and damage is noticed."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hierflow.images import decode_png, encode_png, read_provenance

PIXELS = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
PROVENANCE = {
    "prompt": "a photo of a cat",
    "prompt_id": "cat",
    "image_index": 0,
    "seed": 0,
    "steps": 40,
    "guidance_scale": 4.0,
    "scheduler": "ddpm",
    "model": "mini",
    "model_fingerprint": "0123456789abcdef0123",
    "tau": 1.0,
    "linkage": "ward",
    "node_path": "0/3/7",
    "state_id": "ab" * 32,
}


def text_chunks(data: bytes) -> dict[str, str]:
    image = Image.open(io.BytesIO(data))
    image.load()
    return dict(image.text)


def test_pixels_survive() -> None:
    assert np.array_equal(decode_png(encode_png(PIXELS, PROVENANCE)), PIXELS)


def test_a_view_of_a_larger_array_is_encoded_as_itself() -> None:
    view = PIXELS[::2, ::-1]
    assert np.array_equal(decode_png(encode_png(view, {})), view)


def test_the_same_image_gives_the_same_bytes_in_whatever_order_its_provenance_is_given() -> None:
    backwards = dict(reversed(PROVENANCE.items()))
    assert encode_png(PIXELS, PROVENANCE) == encode_png(PIXELS.copy(), backwards)


def test_other_provenance_gives_other_bytes() -> None:
    assert encode_png(PIXELS, PROVENANCE) != encode_png(PIXELS, {**PROVENANCE, "seed": 1})


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_every_text_survives(prompt: str) -> None:
    data = encode_png(PIXELS[:2, :2], {"prompt": prompt})
    assert read_provenance(data) == {"prompt": prompt}
    assert text_chunks(data)["parameters"].startswith(prompt)


def test_the_readable_line_is_what_a1111_like_tools_parse() -> None:
    assert text_chunks(encode_png(PIXELS, PROVENANCE))["parameters"] == (
        "a photo of a cat\n"
        "Steps: 40, Sampler: ddpm, CFG scale: 4, Seed: 0, Size: 64x48, Model hash: 0123456789ab, Model: mini, "
        "tau: 1, linkage: ward, prompt id: cat, image index: 0, node path: 0/3/7"
    )


def test_a_value_with_a_separator_is_quoted_in_the_readable_line() -> None:
    line = text_chunks(encode_png(PIXELS, {"prompt": "a cat", "prompt_id": "cat, black: 2"}))["parameters"]
    assert line.endswith('prompt id: "cat, black: 2"')


def test_any_flipped_bit_is_refused() -> None:
    data = encode_png(PIXELS[:4, :4], PROVENANCE)
    for place in range(0, len(data), 3):
        broken = bytearray(data)
        broken[place] ^= 0x10
        with pytest.raises(ValueError, match="PNG"):
            decode_png(bytes(broken))


@pytest.mark.parametrize("keep", [0, 7, 40, 0.5, -1, -13])
def test_a_truncated_file_is_refused(keep: float) -> None:
    data = encode_png(PIXELS, PROVENANCE)
    end = int(len(data) * keep) if isinstance(keep, float) else keep
    with pytest.raises(ValueError, match="damaged or no PNG"):
        decode_png(data[:end])


def test_another_format_and_other_pixels_are_refused() -> None:
    jpeg, grey = io.BytesIO(), io.BytesIO()
    Image.fromarray(PIXELS).save(jpeg, "JPEG")
    Image.fromarray(PIXELS[:, :, 0]).save(grey, "PNG")
    with pytest.raises(ValueError, match="damaged or no PNG"):
        decode_png(jpeg.getvalue())
    with pytest.raises(ValueError, match="not 8-bit RGB"):
        decode_png(grey.getvalue())
    with pytest.raises(ValueError, match="no 'hierflow' chunk"):
        read_provenance(grey.getvalue())


@pytest.mark.parametrize("pixels", [PIXELS.astype(np.float32), PIXELS[:, :, 0], PIXELS[:, :, :2], PIXELS[:0]])
def test_arrays_that_are_no_rgb_image_are_refused(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        encode_png(pixels, {})
