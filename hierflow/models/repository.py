"""One pipeline in diffusers format: its components, their configurations and their fingerprints."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hierflow.errors import InputError
from hierflow.hashing import digest
from hierflow.models.fingerprint import folder_fingerprint

_WITHOUT_WEIGHTS = re.compile(r"(Tokenizer|Scheduler|Processor|Extractor)(Fast|Pil)?$")


@dataclass(frozen=True)
class Repository:
    """One pipeline in diffusers format.

    Attributes:
        folder: where its files lie.
        commit: the hub commit they came from; None for a local folder.
        chosen: of a hub repository, the variant of the weights that are loaded; None for the plain ones.
    """

    folder: Path
    commit: str | None = None
    chosen: str | None = None

    @cached_property
    def index(self) -> dict[str, Any]:
        """Its `model_index.json`.

        Raises:
            InputError: it is missing or not JSON.
        """
        return self.config("", "model_index.json")

    @cached_property
    def classes(self) -> dict[str, tuple[str, str]]:
        """Library and class of every component it has; those it leaves out (`[null, null]`) are not listed."""
        return {
            name: (str(entry[0]), str(entry[1]))
            for name, entry in self.index.items()
            if isinstance(entry, list) and len(entry) == 2 and entry[0]
        }

    def present(self, components: tuple[str, ...]) -> tuple[str, ...]:
        """Those of `components` it has."""
        return tuple(name for name in components if name in self.classes)

    def networks(self, components: tuple[str, ...]) -> tuple[str, ...]:
        """Those of `components` it has that hold weights: no tokenizer, processor or scheduler."""
        return tuple(name for name in self.present(components) if not _WITHOUT_WEIGHTS.search(self.classes[name][1]))

    def fingerprint(self, *components: str) -> str:
        """Identity of the named components: the hub commit and the variant, or the content of their files."""
        if self.commit:
            return digest(self.commit, sorted(components), *([self.chosen] if self.chosen else []))
        return digest([(name, folder_fingerprint(self.folder / name)) for name in sorted(components)])

    def config(self, component: str, file: str) -> dict[str, Any]:
        """A component's JSON configuration.

        Raises:
            InputError: it is missing or not JSON.
        """
        path = self.folder / component / file
        try:
            config: dict[str, Any] = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(
                f"cannot be read ({error})", file=path, remedy="give a complete model in diffusers format"
            ) from error
        return config

    @property
    def variant(self) -> str | None:
        """What diffusers calls the weights that are loaded; None for the plain ones, which in a folder come first."""
        if self.commit:
            return self.chosen
        weights = list(self.folder.glob("*/*.safetensors"))
        halves = [path for path in weights if ".fp16." in path.name]
        return "fp16" if halves and len(halves) == len(weights) else None
