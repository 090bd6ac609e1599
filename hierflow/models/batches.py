"""Dividing rows among network calls."""

from __future__ import annotations

from collections.abc import Iterator


def in_batches(rows: int, size: int, *, padded: bool) -> Iterator[tuple[list[int], int]]:
    """The row numbers of every batch, and how many of them are live.

    Args:
        rows: how many rows there are.
        size: rows a batch, at least 1.
        padded: repeat the last row until the batch is full; else the last batch may be smaller.
    """
    for start in range(0, rows, size):
        live = min(size, rows - start)
        batch = list(range(start, start + live))
        yield (batch + [batch[-1]] * (size - live) if padded else batch), live
