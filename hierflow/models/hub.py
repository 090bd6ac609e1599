"""Files of the Hugging Face hub, on this machine."""

from __future__ import annotations

from pathlib import Path

from hierflow.errors import InputError


def is_hub_id(name: str) -> bool:
    """Whether `name` looks like a hub repository and not like a path."""
    return name.count("/") == 1 and not name.startswith((".", "/", "~"))


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
        raise InputError(
            f"could not be had from the hub ({type(error).__name__}: {str(error).splitlines()[0]})",
            field=field,
            value=name,
            remedy="check the id and the network, or give a local folder",
        ) from error
