"""Floating-point arrays in the smallest type that holds each of their values exactly.

Encoders that run in half precision give values that half precision holds, whatever type they travel in. numpy has no
bfloat16: there, an array is the upper halves of its float32 bits.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Narrow(NamedTuple):
    """An array as it is kept.

    Attributes:
        array: its values, or for `bfloat16` the upper 16 bits of each.
        kind: what `array` holds: `bfloat16`, or the name of its dtype.
        dtype: the name of the dtype it had.
    """

    array: Array
    kind: str
    dtype: str

    def wide(self) -> Array:
        """The values in the type they had."""
        if self.kind != "bfloat16":
            return self.array.astype(self.dtype, copy=False)
        bits = self.array.astype(np.uint32) << 16
        return bits.view(np.float32).astype(self.dtype, copy=False)


def narrowed(array: Array) -> Narrow:
    """`array` so that :meth:`Narrow.wide` gives the same bits back; what is no float32 or float64 stays as it is."""
    dtype, kept = array.dtype.name, np.ascontiguousarray(array)
    if dtype == "float64" and (single := _exactly(kept, np.float32)) is not None:
        kept = single
    if kept.dtype != np.float32:
        return Narrow(kept, kept.dtype.name, dtype)
    bits = kept.view(np.uint32)
    if not (bits & 0xFFFF).any():
        return Narrow((bits >> 16).astype(np.uint16), "bfloat16", dtype)
    half = _exactly(kept, np.float16)
    return Narrow(kept if half is None else half, "float32" if half is None else "float16", dtype)


def _exactly(array: Array, smaller: type[np.floating[Any]]) -> Array | None:
    """`array` as a smaller type, None if that changes a bit of it."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        found: Array = array.astype(smaller)
        same = np.array_equal(found.astype(array.dtype).view(np.uint8), array.view(np.uint8))
    return found if same else None
