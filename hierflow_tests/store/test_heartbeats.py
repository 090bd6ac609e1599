"""A heartbeat is rewritten while its run is at work, and is gone afterwards."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from hierflow.errors import InputError
from hierflow.store import SetStore, heartbeats
from hierflow.store.heartbeats import TIMEOUT_SECONDS, HeartbeatStore
from hierflow.store.storage import Storage


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SetStore:
    """A claimed store; heartbeats are written a hundred times a second."""
    monkeypatch.setattr(heartbeats, "INTERVAL_SECONDS", 0.01)
    store = SetStore(str(tmp_path), "trial", tmp_path / "set.yaml")
    store.claim()
    return store


def wait_for_a_later_heartbeat(store: SetStore, than: float) -> float:
    end = time.monotonic() + 30
    while (last := store.heartbeats.last("r")) is None or last <= than:
        assert time.monotonic() < end
        time.sleep(0.005)
    return last


def test_it_is_written_again_and_again_and_then_deleted(store: SetStore) -> None:
    began = time.time()
    with store.heartbeat("r"):
        first = store.heartbeats.last("r")
        assert first is not None
        assert began <= first
        wait_for_a_later_heartbeat(store, wait_for_a_later_heartbeat(store, first))
    assert store.heartbeats.last("r") is None
    assert store.files.list("heartbeats") == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("heartbeat")]


def test_it_ends_with_the_work_that_fails(store: SetStore) -> None:
    with pytest.raises(RuntimeError, match="out of memory"), store.heartbeat("r"):
        raise RuntimeError("out of memory")
    assert store.heartbeats.last("r") is None


def test_an_outage_of_the_store_neither_ends_the_work_nor_the_heartbeat(
    store: SetStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = 0

    def fail(self: Storage, path: str, data: bytes, *, durable: bool = False) -> None:
        nonlocal failures
        failures += 1
        raise OSError("the store does not answer")

    with store.heartbeat("r"):
        first = store.heartbeats.last("r")
        assert first is not None
        with monkeypatch.context() as outage:
            outage.setattr(Storage, "write", fail)
            end = time.monotonic() + 30
            while failures < 2:
                assert time.monotonic() < end
                time.sleep(0.005)
        wait_for_a_later_heartbeat(store, first)


def test_a_folder_that_is_not_claimed_stays_as_it_is(tmp_path: Path) -> None:
    with SetStore(str(tmp_path / "out"), "trial").heartbeat("r"):
        assert not (tmp_path / "out").exists()


def test_the_folder_of_another_document_is_refused(store: SetStore, tmp_path: Path) -> None:
    other = SetStore(str(tmp_path), "trial", tmp_path / "other.yaml")
    with pytest.raises(InputError) as refused, other.heartbeat("r"):
        pass
    assert refused.value.field == "name"
    assert store.files.list("heartbeats") == []


def test_a_sign_of_life_is_stale_after_ten_minutes() -> None:
    assert TIMEOUT_SECONDS == 600
    assert HeartbeatStore.is_stale(time.time() - 601)
    assert not HeartbeatStore.is_stale(time.time() - 590)
    assert not HeartbeatStore.is_stale(time.time() + 300)  # the clock of another host


def test_a_heartbeat_that_cannot_be_read_is_none(store: SetStore) -> None:
    store.files.write("heartbeats/r.json", b"{")
    assert store.heartbeats.last("r") is None
