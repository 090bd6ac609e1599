"""Where a scorer's network lies: a folder or a hub repository of one model. Nothing here loads a weight."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path

from hierflow.errors import InputError
from hierflow.models.hub import from_hub
from hierflow.models.located import folder_or_hub
from hierflow.models.repository import Repository

_CONFIG = "config.json"
_INDEX = "model.safetensors.index.json"
_WEIGHTS = "model.safetensors"
_DESCRIPTIONS = ["*.json", "*.txt", "*.model", "*.jinja"]


def locate_network(
    name: str, revision: str | None, base: Path, *, field: str, kinds: Container[str], what: str
) -> Repository:
    """Find a network, downloading hub files that are not cached yet. Of weights only safetensors are read.

    Args:
        name: a folder or a hub id.
        revision: of the hub repository; None for its newest.
        base: the folder that relative folders are relative to.
        field: the document's field that names it, for errors.
        kinds: the `model_type`s that will do.
        what: what it has to be, for errors ("an image-text-to-text model").

    Raises:
        InputError: there is none, a folder is given a revision, it is of another kind, or its weights are not
            safetensors.
    """
    revision_field = f"{field.removesuffix('.model')}.revision"
    repository = Repository(
        *folder_or_hub(name, base, _DESCRIPTIONS, field=field, revision=revision, revision_field=revision_field)
    )
    if repository.commit:
        repository = _with_weights(repository, name, field)
    config = repository.config("", _CONFIG) if (repository.folder / _CONFIG).is_file() else {}
    if config.get("model_type") not in kinds:
        found = f"a {config['model_type']}" if "model_type" in config else "without a config.json that names its kind"
        raise InputError(f"is {found}, and {what} is wanted", field=field, value=name, remedy=f"give {what}")
    if not any((repository.folder / file).is_file() for file in (_WEIGHTS, _INDEX)):
        raise InputError(
            f"holds no safetensors weights ({_WEIGHTS})",
            field=field,
            value=name,
            remedy="give a model saved with safe_serialization=True (pickled weights are not read)",
        )
    return repository


def network_fingerprint(repository: Repository) -> str:
    """Identity of the network and of what prepares its inputs: the hub commit, or the content of all files.

    Some processors keep a second tokenizer in a folder of its own; it counts.
    """
    if repository.commit:
        return repository.fingerprint("")
    folders = {path.parent.name for path in repository.folder.glob("*/*.json")}
    return repository.fingerprint("", *folders)


def _with_weights(described: Repository, name: str, field: str) -> Repository:
    """The hub repository with exactly the weights that transformers reads; many hold them in more formats."""
    weights = [_WEIGHTS]
    if (described.folder / _INDEX).is_file():
        weights = sorted(set(described.config("", _INDEX).get("weight_map", {}).values()))
    return Repository(from_hub(name, described.commit, field, [*_DESCRIPTIONS, *weights]), described.commit)
