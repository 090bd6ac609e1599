"""Where a field stands in a YAML file; looked up only once something is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from hierflow.errors import InputError


def located(error: InputError, document: Path, near: int = 1) -> InputError:
    """`error`, placed in `document` at the line of its field; as it is if it names a file already.

    Args:
        error: a fault of the document, or of what it names.
        document: the YAML file.
        near: a line of the YAML document that is meant, where the file holds several.
    """
    if error.file:
        return error
    return error.located(document, line_of(document, error.field, near) if error.field else None)


def line_of(path: Path, field: str, near: int = 1) -> int | None:
    """The line of `field`, counted from 1, or of the nearest thing above it that is there.

    Args:
        path: a file of one or more YAML documents.
        field: a path below `attributes` such as `sharing.tau` or `prompts.text[3]`, or a key at the top.
        near: a line of the document that is meant.

    Returns:
        None if the file is not readable YAML.
    """
    try:
        documents = [node for node in yaml.compose_all(path.read_text("utf-8"), Loader=yaml.SafeLoader) if node]
    except (OSError, ValueError, yaml.YAMLError):
        return None
    if not documents:
        return None
    root = next((node for node in reversed(documents) if node.start_mark.line < near), documents[0])
    wanted = field.replace("[", ".").replace("]", "")
    for key, line, attributes in _children(root):
        if key == "attributes":
            return _below(attributes, wanted) or _below(root, wanted) or line
    return _below(root, wanted) or root.start_mark.line + 1


def _below(node: yaml.Node, wanted: str) -> int | None:
    """The line of as much of the way as there is; None if not even its first part is."""
    on_the_way = [entry for entry in _children(node) if wanted == entry[0] or wanted.startswith(f"{entry[0]}.")]
    if not on_the_way:
        return None
    key, line, child = max(on_the_way, key=lambda entry: len(entry[0]))  # a key may hold dots itself
    return (_below(child, wanted[len(key) + 1 :]) if wanted != key else None) or line


def _children(node: yaml.Node) -> Iterator[tuple[str, int, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        for key, child in node.value:
            yield str(key.value), key.start_mark.line + 1, child
    elif isinstance(node, yaml.SequenceNode):
        for place, child in enumerate(node.value):
            yield str(place), child.start_mark.line + 1, child
