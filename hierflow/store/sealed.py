"""Files that prove themselves: JSON and safetensors that carry the SHA-256 of what they hold."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hierflow.errors import InputError
from hierflow.hashing import bytes_digest, canonical_json, digest
from hierflow.store.storage import DamagedFileError, Storage

Arrays = Mapping[str, npt.NDArray[Any]]
_HEAD = 32_768
"""Bytes that hold most headers."""


def write_json(storage: Storage, path: str, payload: Mapping[str, Any], *, durable: bool = True) -> None:
    """Store `payload` as sealed JSON."""
    sealed = {"payload": payload, "sha256": digest(payload)}
    storage.write(path, json.dumps(sealed, ensure_ascii=False, indent=1).encode(), durable=durable)


def read_json(storage: Storage, path: str) -> dict[str, Any]:
    """The payload of the sealed JSON at `path`.

    Raises:
        FileNotFoundError: nothing lies there.
        DamagedFileError: it is not sealed JSON, or not what was sealed.
    """
    return _payload(storage.read(path), storage.url(path))


def read_all_json(storage: Storage, paths: Sequence[str]) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Each of `paths` that is there and the payload of its sealed JSON, None where that is damaged."""
    for path, data in storage.read_all(paths).items():
        try:
            yield path, _payload(data, storage.url(path))
        except DamagedFileError:
            yield path, None


def write_arrays(
    storage: Storage, path: str, arrays: Arrays, meta: Mapping[str, Any], *, durable: bool = True
) -> None:
    """Store numpy `arrays` and JSON `meta` as one sealed safetensors file."""
    from safetensors.numpy import save

    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    storage.write(path, sealed_tensors(contiguous, meta, save), durable=durable)


def read_arrays(storage: Storage, path: str) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """The arrays and meta at `path`.

    Raises:
        FileNotFoundError: nothing lies there.
        DamagedFileError: it is not a sealed safetensors file, or not what was sealed.
    """
    from safetensors.numpy import load

    data = storage.read(path)
    meta = verified_meta(data, storage.url(path))
    return load(data), meta


def read_meta(storage: Storage, path: str, size: int) -> dict[str, Any]:
    """The meta at `path` by the head of the file alone; that the rest is what was sealed, only reading it can tell.

    Args:
        storage, path: where it lies.
        size: the bytes of the file, as a listing has them.

    Raises:
        FileNotFoundError: nothing lies there.
        DamagedFileError: the head is not that of a sealed file, or the file ends elsewhere than it says.
    """
    data = storage.read(path, min(size, _HEAD))
    try:
        length = int.from_bytes(data[:8], "little")
        if len(data) < 8 + length <= size:
            data = storage.read(path, 8 + length)
        header = json.loads(data[8 : 8 + length])
        meta: dict[str, Any] = json.loads(header.pop("__metadata__")["hierflow"])
        ends = [tensor["data_offsets"][1] for tensor in header.values()]
    except InputError:  # a ValueError of the storage, which says nothing of this file
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedFileError(f"{storage.url(path)} is not a sealed safetensors file ({error})") from error
    if size != 8 + length + max(ends, default=0):
        raise DamagedFileError(f"{storage.url(path)} is not as long as it says")
    return meta


def sealed_tensors(tensors: Mapping[str, Any], meta: Mapping[str, Any], save: Any) -> bytes:
    """`tensors` and `meta` as safetensors bytes with a checksum over both in the header.

    Args:
        tensors: numpy arrays or torch tensors, whichever `save` takes.
        meta: JSON.
        save: `safetensors.numpy.save` or `safetensors.torch.save`.
    """
    text = canonical_json(meta).decode()
    header, body = _parts(save(dict(tensors)))
    return bytes(save(dict(tensors), metadata={"hierflow": text, "sha256": _seal(header, text, body)}))


def verified_meta(data: bytes, where: str) -> dict[str, Any]:
    """The meta of sealed safetensors bytes.

    Raises:
        DamagedFileError: the bytes are not sealed safetensors, or not what was sealed; the message names `where`.
    """
    try:
        header, body = _parts(data)
        marks = header.pop("__metadata__")
        text, seal = marks["hierflow"], marks["sha256"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedFileError(f"{where} is not a sealed safetensors file ({error})") from error
    if _seal(header, text, body) != seal:
        raise DamagedFileError(f"{where} does not match its checksum")
    meta: dict[str, Any] = json.loads(text)
    return meta


def _payload(data: bytes, where: str) -> dict[str, Any]:
    try:
        sealed = json.loads(data)
        payload: dict[str, Any] = sealed["payload"]
        intact = digest(payload) == sealed["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedFileError(f"{where} is not readable ({error})") from error
    if not intact:
        raise DamagedFileError(f"{where} does not match its checksum")
    return payload


def _parts(data: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 + length:
        raise ValueError("the file ends early")
    header: dict[str, Any] = json.loads(data[8 : 8 + length])
    return header, data[8 + length :]


def _seal(header: Mapping[str, Any], meta: str, body: bytes) -> str:
    return digest(header, meta, bytes_digest(body))
