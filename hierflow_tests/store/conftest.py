"""Places to store things: a local disk, and fsspec's memory as the stand-in for an object store."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from hierflow.store.storage import Storage


@pytest.fixture(params=["local", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A path or URL where nothing lies yet."""
    return str(tmp_path / "store") if request.param == "local" else f"memory://{uuid.uuid4().hex}"


@pytest.fixture
def storage(place: str) -> Storage:
    """An empty storage."""
    return Storage(place)


@pytest.fixture
def memory() -> Storage:
    """An empty storage in memory, for tests that write very often."""
    return Storage(f"memory://{uuid.uuid4().hex}")
