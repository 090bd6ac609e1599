"""Files of the Hugging Face hub, on this machine."""

from __future__ import annotations

from pathlib import Path

from hierflow.errors import InputError

_FILE_SUFFIXES = (".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".gguf")


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


def hub_files(name: str, folder: Path) -> list[str]:
    """The paths of all files of a hub repository's commit, as the hub's own client has cached them.

    Args:
        name: of the repository.
        folder: what :func:`from_hub` gave, which is named by the commit; where no list was ever cached, its files.
    """
    from huggingface_hub import get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    try:
        return [file.path for file in get_cached_repo_tree(name, revision=folder.name)]
    except CachedRepoTreeNotFoundError:
        return [path.relative_to(folder).as_posix() for path in folder.rglob("*")]


def _unavailable(name: str, field: str, error: Exception) -> InputError:
    return InputError(
        f"could not be had from the hub ({type(error).__name__}: {str(error).partition(chr(10))[0]})",
        field=field,
        value=name,
        remedy="check the id and the network, or give a local folder",
    )
