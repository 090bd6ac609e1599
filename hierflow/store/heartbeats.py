"""Heartbeats: files by which runs show, to any host that sees the store, that their process is alive."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hierflow.store.sealed import read_json, write_json
from hierflow.store.storage import DamagedFileError, Storage

log = logging.getLogger("hierflow")

INTERVAL_SECONDS = 30.0
TIMEOUT_SECONDS = 600.0
"""A run that has shown no sign of life for so long counts as dead.

It bridges outages of the store, steps that hold Python's lock, and clocks of two hosts that differ by minutes.
"""


class HeartbeatStore:
    """The heartbeats of the runs of one image set.

    A heartbeat holds the time of its last write, by the clock of the host that wrote it. It is written from a thread
    of its own, so that downloads, model loads and long steps do not delay it.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    @contextmanager
    def beat(self, run: str) -> Iterator[None]:
        """Write the heartbeat of `run` until the context closes, then delete it.

        A write that fails is logged and tried again at the next interval: the work itself reports an outage.
        """
        stop = threading.Event()

        def write() -> None:
            _attempt(lambda: write_json(self._storage, _path(run), {"time": time.time()}, durable=False))

        def write_until_stopped() -> None:
            while not stop.wait(INTERVAL_SECONDS):
                write()

        write()
        thread = threading.Thread(target=write_until_stopped, name=f"heartbeat {run}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            _attempt(lambda: self.delete(run))

    def last(self, run: str) -> float | None:
        """The time of a run's last heartbeat, in seconds since the epoch; None if it has none."""
        try:
            return float(read_json(self._storage, _path(run))["time"])
        except (FileNotFoundError, DamagedFileError):
            return None

    @staticmethod
    def is_stale(sign_of_life: float) -> bool:
        """Whether a sign of life, in seconds since the epoch, is older than the time-out."""
        return time.time() - sign_of_life > TIMEOUT_SECONDS

    def delete(self, run: str) -> None:
        """Remove a run's heartbeat."""
        self._storage.delete(_path(run))


def _attempt(action: Callable[[], None]) -> None:
    try:
        action()
    except Exception as error:  # fsspec packages raise errors of many kinds
        log.warning("cannot update a heartbeat: %s", error)


def _path(run: str) -> str:
    return f"heartbeats/{run}.json"
