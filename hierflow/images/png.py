"""PNG files that say where they come from.

Each file carries two iTXt chunks (UTF-8, so every language and emoji survive): `parameters`, the one line
that image viewers and A1111-like tools read, and `hierflow`, the whole provenance as canonical JSON.
"""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngInfo

from hierflow.hashing import canonical_json

_PARAMETERS, _PROVENANCE = "parameters", "hierflow"
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)
# What the line calls a field of the provenance, in the order in which A1111 writes its own.
_LINE = (
    ("Steps", "steps"),
    ("Sampler", "scheduler"),
    ("CFG scale", "guidance_scale"),
    ("Seed", "seed"),
    ("Size", "size"),
    ("Model hash", "model_fingerprint"),
    ("Model", "model"),
    ("tau", "tau"),
    ("linkage", "linkage"),
    ("prompt id", "prompt_id"),
    ("image index", "image_index"),
    ("node path", "node_path"),
)
_HASH_DIGITS = 12
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def encode_png(pixels: NDArray[np.uint8], provenance: Mapping[str, Any]) -> bytes:
    """The bytes of a PNG file; the same pixels and provenance give the same bytes.

    Args:
        pixels: uint8, shape (height, width, 3), red green blue, 0 to 255.
        provenance: what made the image, of types JSON knows. `prompt`, `negative_prompt`, `steps`,
            `scheduler`, `guidance_scale`, `seed`, `size`, `model`, `model_fingerprint`, `tau`, `linkage`,
            `prompt_id`, `image_index` and `node_path` also appear in the readable line, where given.

    Raises:
        ValueError: `pixels` has another shape or type, or `provenance` holds NaN or an infinity.
        TypeError: `provenance` holds something JSON cannot say.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ValueError(f"pixels must be uint8 (height, width, 3), not {pixels.dtype} {pixels.shape}")
    height, width, _ = pixels.shape
    chunks = PngInfo()
    for key, text in (
        (_PARAMETERS, _parameters({"size": f"{width}x{height}", **provenance})),
        (_PROVENANCE, canonical_json(dict(provenance)).decode()),
    ):
        chunks.add_itxt(key, text)
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG", pnginfo=chunks, compress_level=6)
    return file.getvalue()


def decode_png(data: bytes) -> NDArray[np.uint8]:
    """The pixels of a PNG file: uint8, shape (height, width, 3).

    Raises:
        ValueError: the file is damaged (every chunk's checksum is verified), or not an RGB PNG.
    """
    image = _open_intact(data)
    if image.mode != "RGB":
        raise ValueError(f"the PNG holds {image.mode} pixels, not 8-bit RGB")
    return np.array(image, dtype=np.uint8)


def read_provenance(data: bytes) -> dict[str, Any]:
    """The provenance that :func:`encode_png` wrote into a file.

    Raises:
        ValueError: the file is damaged, or no PNG of hierflow's.
    """
    text = _open_intact(data).text.get(_PROVENANCE)
    if text is None:
        raise ValueError(f"the PNG has no {_PROVENANCE!r} chunk, so hierflow did not write it or it was stripped")
    try:
        provenance = json.loads(text)
    except ValueError as error:
        raise ValueError(f"the {_PROVENANCE!r} chunk of the PNG is not JSON: {error}") from error
    if not isinstance(provenance, dict):
        raise ValueError(f"the {_PROVENANCE!r} chunk of the PNG is not a JSON object")
    return provenance


def _open_intact(data: bytes) -> PngImageFile:
    try:
        _verify_chunks(data)
        image = Image.open(io.BytesIO(data), formats=["PNG"])
        image.load()
    except _DAMAGE as error:
        raise ValueError(f"the PNG ({len(data)} bytes) is damaged or no PNG: {error}") from error
    assert isinstance(image, PngImageFile)
    return image


def _verify_chunks(data: bytes) -> None:
    """Every chunk's length and checksum up to the very end of the file; Pillow skips some of them."""
    if not data.startswith(_SIGNATURE):
        raise ValueError("it does not begin like a PNG")
    start, kind = len(_SIGNATURE), b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, start)
        end = start + 8 + length
        (checksum,) = struct.unpack_from(">I", data, end)
        if zlib.crc32(data[start + 4 : end]) != checksum:
            raise ValueError(f"the checksum of its chunk {kind!r} at byte {start} does not match")
        start = end + 4


def _parameters(provenance: Mapping[str, Any]) -> str:
    lines = [str(provenance.get("prompt", ""))]
    if provenance.get("negative_prompt"):
        lines.append(f"Negative prompt: {provenance['negative_prompt']}")
    fields = []
    for label, key in _LINE:
        value = provenance.get(key)
        if value is not None and value != "":
            shown = str(value)[:_HASH_DIGITS] if key == "model_fingerprint" else _shown(value)
            fields.append(f"{label}: {_quoted(shown)}")
    return "\n".join([*lines, ", ".join(fields)])


def _shown(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _quoted(text: str) -> str:
    """A1111's own rule: a value with a separator in it is written as a JSON string."""
    return json.dumps(text, ensure_ascii=False) if any(mark in text for mark in ",:\n") else text
