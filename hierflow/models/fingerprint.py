"""The identity of files: a hash of their content, remembered by size and time of change."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from hierflow.errors import InputError
from hierflow.hashing import digest
from hierflow.models.cache import remember, remembered

_SUFFIXES = {".json", ".txt", ".safetensors", ".model", ".jinja"}


def folder_fingerprint(folder: Path) -> str:
    """SHA-256 over names and content of the model files in `folder` (pickled weights are not read, nor counted).

    Raises:
        InputError: the folder holds none.
    """
    return files_fingerprint(folder, description_files(folder))


def description_files(folder: Path) -> list[Path]:
    """The files of a component without weights, such as a tokenizer, and all safetensors files if it has some."""
    return [path for path in sorted(folder.glob("*")) if path.suffix in _SUFFIXES]


def files_fingerprint(folder: Path, files: Sequence[Path]) -> str:
    """SHA-256 over names and content of files in `folder`.

    Raises:
        InputError: there are none.
    """
    if not files:
        raise InputError(
            "holds no model files", file=folder, remedy="give a complete model in diffusers format with safetensors"
        )
    known = _remembered()
    found = {str(path.resolve()): _entry(path, known) for path in files}
    if any(known.get(name) != entry for name, entry in found.items()):
        remember("fingerprints", {**known, **found})
    return digest([(path.name, found[str(path.resolve())]["sha256"]) for path in sorted(files)])


def file_fingerprint(path: Path) -> str:
    """SHA-256 of one file's content."""
    known, name = _remembered(), str(path.resolve())
    entry = _entry(path, known)
    if known.get(name) != entry:
        remember("fingerprints", {**known, name: entry})
    return str(entry["sha256"])


def _entry(path: Path, known: dict[str, dict[str, object]]) -> dict[str, object]:
    status = path.stat()
    entry = known.get(str(path.resolve()), {})
    if entry.get("size") == status.st_size and entry.get("mtime") == status.st_mtime_ns:
        return entry
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return {"size": status.st_size, "mtime": status.st_mtime_ns, "sha256": sha256}


def _remembered() -> dict[str, dict[str, object]]:
    known = remembered("fingerprints")
    return known if all(map(_is_entry, known.values())) else {}


def _is_entry(entry: object) -> bool:
    return isinstance(entry, dict) and entry.keys() == {"size", "mtime", "sha256"}
