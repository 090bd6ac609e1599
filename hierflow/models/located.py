"""Where a model lies that a document names: in a folder, or on the hub."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hierflow.errors import InputError
from hierflow.models.hub import from_hub, is_hub_id


class Located(NamedTuple):
    """Where a model lies.

    Attributes:
        folder: that holds its files.
        commit: the hub commit they came from; None for a local folder.
    """

    folder: Path
    commit: str | None


def folder_or_hub(
    name: str,
    base: Path,
    patterns: list[str],
    *,
    field: str,
    revision: str | None = None,
    revision_field: str = "",
    others: Sequence[str] = (),
) -> Located:
    """The folder that a document names, or files of the hub repository, downloaded if they are not cached yet.

    Args:
        name: a folder or a hub id; where it could be both, it is the folder. `~` is the home folder.
        base: the folder that relative folders are relative to.
        patterns: of the files that a hub repository is asked for.
        field: the document's field that gives the name, for errors.
        revision: of the hub repository; None for its newest.
        revision_field: the document's field that gives the revision, where it has one.
        others: what else the field takes, for errors.

    Raises:
        InputError: it is neither, a folder is given a revision, or the files are not to be had.
    """
    path = resolve_model_path(name, base, field)
    if path.is_dir():
        refuse_revision(revision, revision_field)
        return Located(path, None)
    if path.is_file():
        raise InputError(
            f"is a file, and neither {' nor '.join([*others, 'a folder', 'a hub id'])}",
            field=field,
            value=name,
            remedy="give a folder or a hub id (`owner/model`)",
        )
    if not is_hub_id(name):
        raise InputError(
            f"is neither {' nor '.join([*others, 'a folder', 'a hub id'])} (there is no {path})",
            field=field,
            value=name,
            remedy="correct the path, or give a hub id (a hub id looks like `owner/model`)",
        )
    try:
        folder = from_hub(name, revision, field, patterns)
    except InputError as error:
        raise InputError(
            f"is not a folder (there is no {path}), and {error.problem}",
            field=field,
            value=name,
            remedy="check the id and the network, or correct the path",
        ) from error
    return Located(folder, folder.name)


def resolve_model_path(name: str, base: Path, field: str) -> Path:
    """The absolute path that `name` is, if it is one; whether something lies there is not checked.

    Raises:
        InputError: no file system could hold such a path.
    """
    try:
        path = (base / os.path.expanduser(name)).resolve()
        path.exists()
    except (OSError, ValueError) as error:  # too long, or a NUL in it
        raise InputError(
            f"is not a path ({error})"[:200], field=field, value=name, remedy="give a folder or a hub id"
        ) from error
    return path


def refuse_revision(revision: str | None, field: str) -> None:
    """See that something on this machine is given no revision.

    Raises:
        InputError: it is.
    """
    if revision is not None:
        raise InputError(
            "is a revision, which only a model of the hub has",
            field=field,
            value=revision,
            remedy="leave it out, or give a hub id",
        )
