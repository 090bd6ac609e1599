"""Dividing rows among network calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from hierflow.models.runtime import Runtime

Made = TypeVar("Made")
Batch = tuple[list[int], int]
"""The row numbers of a batch, and how many of them are live; the rest is padding."""


class Batches:
    """How one device likes its batches.

    Where bits are promised every batch has one size, padded. Elsewhere rows are divided into as few batches as fit
    and as even ones as can be: on a CPU, every new shape costs a call its kernels' set-up, and even batches of
    limited size have few shapes.

    Args:
        runtime: the device, and what the document says of batches.
        known: the largest batch that is known to fit; None for no more than `runtime` says.
        on_halved: is told the new limit whenever memory has run out.

    Attributes:
        largest: the present limit; :meth:`halve` lowers it.
    """

    def __init__(
        self, runtime: Runtime, known: int | None = None, on_halved: Callable[[int], object] = lambda limit: None
    ) -> None:
        self._fixed = runtime.fixed_batch
        self._on_halved = on_halved
        self.largest = min(runtime.largest_batch, known or runtime.largest_batch)

    def of(self, rows: int) -> Iterator[Batch]:
        """The batches of `rows` rows, at least one."""
        if self._fixed is not None:
            yield from padded_batches(rows, self._fixed)
            return
        count = -(-rows // self.largest)
        for place in range(count):
            start, stop = place * rows // count, (place + 1) * rows // count
            yield list(range(start, stop)), stop - start

    def each(self, rows: int, work: Callable[[list[int], int], Made]) -> Iterator[Made]:
        """What `work` makes of each batch of `rows` rows; where memory runs out, of smaller ones from then on.

        Raises:
            OutOfMemoryError: batches cannot be made smaller.
        """
        import torch

        done = 0
        while done < rows:
            batch, live = next(self.of(rows - done))
            try:
                made = work([done + row for row in batch], live)
            except torch.OutOfMemoryError:
                if not self.halve():
                    raise
            else:
                yield made
                done += live
                continue
            torch.cuda.empty_cache()  # only now that the exception is gone, and with it what it held on to

    def halve(self) -> bool:
        """Make batches half as large, since memory ran out; whether that is possible."""
        if self._fixed is not None or self.largest == 1:
            return False
        self.largest //= 2
        self._on_halved(self.largest)
        return True


def padded_batches(rows: int, size: int) -> Iterator[Batch]:
    """Batches of exactly `size` rows; the last repeats its last row until it is full."""
    for start in range(0, rows, size):
        live = min(size, rows - start)
        batch = list(range(start, start + live))
        yield batch + [batch[-1]] * (size - live), live
