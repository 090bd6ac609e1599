"""Content hashes: everything hierflow names by content is named through this module."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any


def canonical_json(value: Any) -> bytes:
    """`value` as the one JSON text that stands for it: sorted keys, no spaces, UTF-8, finite numbers only.

    Raises:
        ValueError: `value` holds NaN or an infinity, which JSON cannot say.
        TypeError: `value` holds something other than dict, list, tuple, str, int, float, bool or None.
    """
    return json.dumps(
        _plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def digest(*parts: Any) -> str:
    """SHA-256 (64 hex digits) of the canonical JSON of `parts`, read as one list."""
    return hashlib.sha256(canonical_json(list(parts))).hexdigest()


def bytes_digest(data: bytes) -> str:
    """SHA-256 (64 hex digits) of raw bytes."""
    return hashlib.sha256(data).hexdigest()


def text_hash(text: str) -> str:
    """The identity of a prompt's text: SHA-256 (64 hex digits) of its UTF-8 bytes."""
    return bytes_digest(text.encode())


def seed_from(*parts: Any) -> int:
    """A seed in 0 .. 2**63 - 1 for `torch.Generator`, spread evenly over `parts`."""
    return int(digest(*parts)[:16], 16) >> 1


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and math.isfinite(value):
        return int(value)  # 4.0 and 4 are one setting, and must be one identity
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
