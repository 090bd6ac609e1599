"""Ways in which a file can come to harm."""

from __future__ import annotations

from collections.abc import Iterator

from hierflow.store.storage import Storage


def damaged_copies(data: bytes, every: int = 1) -> Iterator[bytes]:
    """`data` with one bit of every so many bytes flipped, and `data` cut short."""
    for at in range(0, len(data), every):
        yield data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        yield data[:at] + bytes([data[at] ^ 0x80]) + data[at + 1 :]
    for length in range(0, len(data), every):
        yield data[:length]


def flip(storage: Storage, path: str, at: int = -1) -> None:
    """Alter one byte of the file at `path`."""
    data = bytearray(storage.read(path))
    data[at] ^= 1
    storage.write(path, bytes(data))
