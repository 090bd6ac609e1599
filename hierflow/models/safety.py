"""Where a safety checker lies. Nothing here loads a weight."""

from __future__ import annotations

from pathlib import Path

from hierflow.errors import InputError
from hierflow.models.located import folder_or_hub
from hierflow.models.repository import Repository

_FIELD = "diffusion.safety_check"
_FILES = ["config.json", "preprocessor_config.json", "*.safetensors"]


def locate_safety_check(name: str, base: Path) -> Repository:
    """Where the checker lies, downloading hub files that are not cached yet.

    Raises:
        InputError: there is none, or its weights are not safetensors.
    """
    repository = Repository(*folder_or_hub(name, base, _FILES, field=_FIELD))
    folder = repository.folder
    config = repository.config("", "config.json") if (folder / "config.json").is_file() else {}
    if config.get("architectures") != ["StableDiffusionSafetyChecker"] or not any(folder.glob("*.safetensors")):
        raise InputError(
            "is no Stable Diffusion safety checker with safetensors weights",
            field=_FIELD,
            value=name,
            remedy="give the folder `safety_checker` of a Stable Diffusion model, or leave it out",
        )
    return repository
