"""The image sets of a checkout as one Dagster code location: every document in `prompts/`.

Which folder is served can be set by $HIERFLOW_DOCUMENTS; by default it is `prompts` in the working directory.
"""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg

from hierflow.assets.build import build_image_set
from hierflow.document import is_image_set, load_document
from hierflow.errors import InputError


def load_definitions(folder: Path) -> dg.Definitions:
    """The definitions of all image-set documents (`*.yaml`, `*.yml`) in `folder`; other YAML files are left alone.

    Raises:
        InputError: there is no such folder, a document is wrong, or two describe sets of one name.
    """
    if not folder.is_dir():
        raise InputError(
            "is not a folder", file=folder, remedy="set $HIERFLOW_DOCUMENTS to the folder of your documents"
        )
    found: dict[str, Path] = {}
    definitions = []
    for document in sorted(folder.resolve().glob("*.y*ml")):
        if not is_image_set(document):
            continue
        spec = load_document(document)
        if spec.name in found:
            raise InputError(
                f"is also the name of the set in {found[spec.name].name}",
                file=document,
                field="name",
                value=spec.name,
                remedy="give every set of a folder a name of its own",
            )
        found[spec.name] = document
        definitions.append(build_image_set(spec, document.parent, document))
    # For what is launched from the asset pages: a process a step would load the model anew for each.
    return dg.Definitions.merge(dg.Definitions(executor=dg.in_process_executor), *definitions)


defs = load_definitions(Path(os.environ.get("HIERFLOW_DOCUMENTS", "prompts")))
