"""The identity of files: a hash of their content, remembered by size and time of change."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

from hierflow.errors import InputError
from hierflow.hashing import digest

_SUFFIXES = {".json", ".txt", ".safetensors", ".model"}


def cache_folder() -> Path:
    """Where hierflow keeps what may be forgotten: $HIERFLOW_CACHE, or ~/.cache/hierflow."""
    return Path(os.environ.get("HIERFLOW_CACHE") or Path.home() / ".cache" / "hierflow")


def folder_fingerprint(folder: Path) -> str:
    """SHA-256 over names and content of the model files in `folder` (pickled weights are not read, nor counted).

    Raises:
        InputError: the folder holds none.
    """
    files = sorted(path for path in folder.glob("*") if path.suffix in _SUFFIXES)
    if not files:
        raise InputError(
            "holds no model files", file=folder, remedy="give a complete model in diffusers format with safetensors"
        )
    known = _remembered()
    found = {str(path.resolve()): _entry(path, known) for path in files}
    if any(known.get(name) != entry for name, entry in found.items()):
        _remember({**known, **found})
    return digest([(path.name, found[str(path.resolve())]["sha256"]) for path in files])


def _entry(path: Path, known: dict[str, dict[str, object]]) -> dict[str, object]:
    status = path.stat()
    entry = known.get(str(path.resolve()), {})
    if entry.get("size") == status.st_size and entry.get("mtime") == status.st_mtime_ns:
        return entry
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return {"size": status.st_size, "mtime": status.st_mtime_ns, "sha256": sha256}


def _remembered() -> dict[str, dict[str, object]]:
    try:
        known: dict[str, dict[str, object]] = json.loads((cache_folder() / "fingerprints.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) and all(map(_is_entry, known.values())) else {}


def _is_entry(entry: object) -> bool:
    return isinstance(entry, dict) and entry.keys() == {"size", "mtime", "sha256"}


def _remember(known: dict[str, dict[str, object]]) -> None:
    """Best effort: a cache that cannot be written costs time, nothing else."""
    path = cache_folder() / "fingerprints.json"
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(known), "utf-8")
        draft.replace(path)
    except OSError:
        with suppress(OSError):  # there may not even be a folder to remove it from
            draft.unlink()
