"""What hierflow remembers on this machine and may forget at any time."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any


def cache_folder() -> Path:
    """Where hierflow keeps what may be forgotten: $HIERFLOW_CACHE, or ~/.cache/hierflow."""
    return Path(os.environ.get("HIERFLOW_CACHE") or Path.home() / ".cache" / "hierflow")


def remembered(name: str) -> dict[str, Any]:
    """What :func:`remember` was given under `name`; nothing, if that is lost or was never JSON of a mapping."""
    try:
        known = json.loads((cache_folder() / f"{name}.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def remember(name: str, known: dict[str, Any]) -> None:
    """Best effort: a cache that cannot be written costs time, nothing else."""
    path = cache_folder() / f"{name}.json"
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(known), "utf-8")
        draft.replace(path)
    except OSError:
        with suppress(OSError):  # there may not even be a folder to remove it from
            draft.unlink()
