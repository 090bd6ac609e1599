"""Files that carry a checksum: every harm is noticed on reading."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hierflow.store.sealed import read_arrays, read_json, write_arrays, write_json
from hierflow.store.storage import DamagedFileError, Storage
from hierflow_tests.store.damage import damaged_copies

PAYLOAD = {"name": "café", "share": 0.25, "count": 3, "list": [1, [2]], "none": None, "yes": True}
ARRAYS = {
    "latents": np.arange(12, dtype=np.float32).reshape(1, 3, 4),
    "half": np.array([0.5, 2.5], dtype=np.float16),
    "merges": np.zeros((0, 2), dtype=np.int64),
    "strided": np.arange(12).reshape(3, 4).T,
}
META = {"texts": ["a", "ä"], "level": 4}


def test_json_comes_back_as_it_was(storage: Storage) -> None:
    write_json(storage, "x.json", PAYLOAD)
    assert read_json(storage, "x.json") == PAYLOAD


def test_arrays_and_meta_come_back_as_they_were(storage: Storage) -> None:
    write_arrays(storage, "x.safetensors", ARRAYS, META)
    arrays, meta = read_arrays(storage, "x.safetensors")
    assert meta == META
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype


def test_harm_to_json_is_noticed_wherever_it_strikes(memory: Storage) -> None:
    write_json(memory, "x.json", PAYLOAD)
    for harmed in damaged_copies(memory.read("x.json")):
        memory.write("x.json", harmed)
        with pytest.raises(DamagedFileError, match=r"x\.json"):
            read_json(memory, "x.json")


def test_harm_to_arrays_is_noticed_wherever_it_strikes(memory: Storage) -> None:
    write_arrays(memory, "x.safetensors", ARRAYS, META)
    for harmed in damaged_copies(memory.read("x.safetensors")):
        memory.write("x.safetensors", harmed)
        with pytest.raises(DamagedFileError, match=r"x\.safetensors"):
            read_arrays(memory, "x.safetensors")


@pytest.mark.parametrize("foreign", [b"", b"[]", b"3", b"null", b'{"payload": 1}', b'{"payload": {}, "sha256": 5}'])
def test_json_that_was_never_sealed_is_refused(storage: Storage, foreign: bytes) -> None:
    storage.write("x.json", foreign)
    with pytest.raises(DamagedFileError):
        read_json(storage, "x.json")


def test_arrays_that_were_never_sealed_are_refused(storage: Storage) -> None:
    from safetensors.numpy import save

    foreign = [save({"x": np.ones(3)}), save({"x": np.ones(3)}, metadata={"hierflow": "{}"})]
    headers = (b"[]", b"3", b'{"__metadata__": 5}', b"\xff\xff")
    for data in foreign + [len(header).to_bytes(8, "little") + header for header in headers]:
        storage.write("x.safetensors", data)
        with pytest.raises(DamagedFileError):
            read_arrays(storage, "x.safetensors")


def test_what_is_not_there_is_missing_and_not_damaged(storage: Storage) -> None:
    with pytest.raises(FileNotFoundError):
        read_json(storage, "x.json")
    with pytest.raises(FileNotFoundError):
        read_arrays(storage, "x.safetensors")


def test_nan_is_refused_before_it_is_stored(storage: Storage) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(storage, "x.json", {"score": float("nan")})
    assert not storage.exists("x.json")


def test_the_payload_can_be_read_by_people(storage: Storage) -> None:
    write_json(storage, "x.json", PAYLOAD)
    assert "café" in storage.read("x.json").decode()
    assert json.loads(storage.read("x.json"))["payload"] == PAYLOAD
