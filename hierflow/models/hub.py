"""Files of the Hugging Face hub, on this machine."""

from __future__ import annotations

from pathlib import Path

from hierflow.errors import InputError
from hierflow.models.cache import remember, remembered

_LISTINGS = "hub"
_SUFFIX = ".safetensors"
_FILE_SUFFIXES = (_SUFFIX, ".ckpt", ".pt", ".pth", ".bin", ".gguf")


def is_hub_id(name: str) -> bool:
    """Whether `name` looks like a hub repository and not like a path."""
    is_path = name.startswith((".", "/", "~")) or "\\" in name or name.lower().endswith(_FILE_SUFFIXES)
    return name.count("/") == 1 and not is_path


def from_hub(name: str, revision: str | None, field: str, patterns: list[str]) -> Path:
    """The folder of a hub repository of which the files that match `patterns` are on this machine.

    The folder's name is the commit.

    Raises:
        InputError: they are not to be had; the error names `field`.
    """
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=patterns))
    except Exception as error:  # the hub client raises some twenty kinds; all mean "not to be had"
        raise _unavailable(name, field, error) from error


def weights_in(name: str, folder: Path, field: str) -> list[str]:
    """The paths of all safetensors files of a hub repository's commit.

    What a commit holds is remembered, so that a machine goes on as it began when it loses the network. One that has
    never had it goes by what is on its disk.

    Args:
        name: of the repository.
        folder: what :func:`from_hub` gave, which is named by the commit.
        field: of the document, for errors.

    Raises:
        InputError: the hub does not answer, and there are none on this machine.
    """
    from huggingface_hub import HfApi

    known, key = remembered(_LISTINGS), f"{name}@{folder.name}"
    if isinstance(found := known.get(key), list):
        return found
    try:
        found = [path for path in HfApi().list_repo_files(name, revision=folder.name) if path.endswith(_SUFFIX)]
    except Exception as error:  # as above
        found = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob(f"*{_SUFFIX}"))]
        if not found:
            raise _unavailable(name, field, error) from error
        return found
    remember(_LISTINGS, {**known, key: found})
    return found


def _unavailable(name: str, field: str, error: Exception) -> InputError:
    return InputError(
        f"could not be had from the hub ({type(error).__name__}: {str(error).partition(chr(10))[0]})",
        field=field,
        value=name,
        remedy="check the id and the network, or give a local folder",
    )
