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
from hierflow.models.fingerprint import description_files, files_fingerprint
from hierflow.models.weights import check_file, choose_variant, loaded_files

_CONFIGS = ("config.json", "generation_config.json")
_VOCABULARIES = (
    {"tokenizer.json"},
    {"vocab.json", "merges.txt"},
    {"vocab.txt"},
    {"spiece.model"},
    {"tokenizer.model"},
)
_WITHOUT_WEIGHTS = re.compile(r"(Tokenizer|Scheduler|Processor|Extractor)(Fast|Pil)?$")


@dataclass(frozen=True)
class Repository:
    """One pipeline in diffusers format.

    Attributes:
        folder: where its files lie.
        commit: the hub commit they came from; None for a local folder.
        dtype: the precision that its networks will have, which decides among variants of their weights.
    """

    folder: Path
    commit: str | None = None
    dtype: str = "float32"

    @cached_property
    def index(self) -> dict[str, Any]:
        """Its `model_index.json`.

        Raises:
            InputError: it is missing or not JSON.
        """
        return self.config("", "model_index.json")

    @cached_property
    def classes(self) -> dict[str, tuple[str, str]]:
        """Library and class of every component it has; those it leaves out (`[null, null]`) are not listed.

        A network on its own, such as a scorer's, has no components.
        """
        index = self.index if (self.folder / "model_index.json").is_file() else {}
        return {
            name: (str(entry[0]), str(entry[1]))
            for name, entry in index.items()
            if isinstance(entry, list) and len(entry) == 2 and entry[0]
        }

    def present(self, components: tuple[str, ...]) -> tuple[str, ...]:
        """Those of `components` it has."""
        return tuple(name for name in components if name in self.classes)

    def networks(self, components: tuple[str, ...]) -> tuple[str, ...]:
        """Those of `components` it has that hold weights: no tokenizer, processor or scheduler."""
        return tuple(name for name in self.present(components) if not _WITHOUT_WEIGHTS.search(self.classes[name][1]))

    def variant(self, network: str) -> str | None:
        """The variant of a network's weights that is loaded, such as "fp16"; None for plain weights."""
        names = [path.name for path in (self.folder / network).glob("*")]
        return choose_variant(names, self.classes[network][0], self.dtype)

    def files(self, component: str) -> list[Path]:
        """The files of a component that are loaded.

        Raises:
            InputError: a network has no weights that can be loaded.
        """
        folder = self.folder / component
        if component not in self.networks((component,)):
            return description_files(folder)
        configs = [path for name in _CONFIGS if (path := folder / name).is_file()]
        return [*configs, *loaded_files(folder, self.classes[component][0], self.variant(component))]

    def check(self, *components: str) -> None:
        """See that the components are complete, by the first bytes of their files.

        Raises:
            InputError: a folder or a file is missing, is a pointer, or is shorter than its header says.
        """
        self.config("", "model_index.json")
        for component in components:
            folder, (_, name) = self.folder / component, self.classes[component]
            if not folder.is_dir():
                raise InputError(
                    f"has no folder `{component}`, which its model_index.json names ({name})",
                    file=self.folder,
                    remedy="give a complete model in diffusers format",
                )
            is_network = component in self.networks((component,))
            files = self.files(component)
            for file in files:
                check_file(file)
            if is_network or name.endswith("Scheduler"):
                self.config(component, "config.json" if is_network else "scheduler_config.json")
            names = {file.name for file in files}
            if "Tokenizer" in name and not any(vocabulary <= names for vocabulary in _VOCABULARIES):
                raise InputError(
                    "holds no vocabulary of a tokenizer (`tokenizer.json`)",
                    file=folder,
                    remedy="give a complete model in diffusers format",
                )

    def fingerprint(self, *components: str) -> str:
        """Identity of the named components: the hub commit and variants, or the content of the files that load."""
        if self.commit:
            variants = {self.variant(name) for name in self.networks(components)} - {None}
            return digest(self.commit, sorted(components), *sorted(map(str, variants)))
        return digest(
            [(name, files_fingerprint(self.folder / name, self.files(name))) for name in sorted(components)]
        )

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
