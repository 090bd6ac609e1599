"""A YAML document to an image-set spec; every fault is one sentence that names file, field, value and remedy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from hierflow.environment import with_environment
from hierflow.errors import InputError
from hierflow.faults import nearest, sentence
from hierflow.hashing import bytes_digest
from hierflow.positions import located
from hierflow.prompts.source import chosen_kind
from hierflow.prompts.text_files import decode_text
from hierflow.scalars import Scalar, ScalarLoader, resolve_scalars
from hierflow.spec import ImageSetSpec

COMPONENT = "hierflow.ImageSet"
_KEYS = ("type", "attributes", "template_vars_module", "requirements", "post_processing")
"""What Dagster reads at the top of a component's document."""
Model = TypeVar("Model", bound=BaseModel)
ImageSet = TypeVar("ImageSet", bound=ImageSetSpec)
# A line and not parsed YAML: a document with a fault in it must be found, so that loading it can tell the fault.
_TYPE_LINE = re.compile(
    rf"""^[\ufeff\ufffd]*(\{{\s*)?['"]?type['"]?\s*:\s+['"]?{re.escape(COMPONENT)}['"]?\s*(,|\}}|\s#|$)""",
    re.MULTILINE,
)


def load_document(path: Path) -> ImageSetSpec:
    """The image set that the YAML document at `path` describes.

    Raises:
        InputError: there is no such file, it is not one YAML mapping of type `hierflow.ImageSet`, or a field is
            missing, unknown or out of range. The line is named.
    """
    documents = [document for _, document in _read_documents(path)]
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise InputError(
            "is not one YAML mapping", file=path, remedy=f"start it with `type: {COMPONENT}` and `attributes:`"
        )
    document = {str(resolve_scalars(key, str)): value for key, value in documents[0].items()}
    try:
        if document.get("type") != COMPONENT:
            raise InputError(
                "is not the type of an image set" if "type" in document else "is missing",
                field="type",
                value=resolve_scalars(document.get("type"), str),
                remedy=f"write `type: {COMPONENT}`",
            )
        _check_keys(document)
        return image_set(ImageSetSpec, _attributes(document))
    except InputError as error:
        raise located(error, path) from error


def load_attributes(path: Path, line: int) -> Any:
    """The attributes of one document of a file, as the scalar loader reads them.

    Args:
        path: a file of one or more YAML documents.
        line: a line of the document that is meant, counted from 1.

    Raises:
        InputError: the file cannot be read or is not YAML.
    """
    documents = _read_documents(path)
    document = next((found for start, found in reversed(documents) if start <= line), None)
    return _attributes(document) if isinstance(document, dict) else {}


def _attributes(document: dict[Any, Any]) -> Any:
    attributes = document.get("attributes")
    return attributes if attributes and attributes != Scalar(None, "") else {}


def _read_documents(path: Path) -> list[tuple[int, Any]]:
    """The YAML documents of a file, each with the line that it starts on."""
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError("does not exist", file=path, remedy="give the path of an image-set document") from error
    except IsADirectoryError as error:
        raise InputError("is a folder", file=path, remedy="give the path of an image-set document") from error
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", file=path, remedy="give a file that can be") from error
    text = decode_text(data, path)
    try:
        loader = ScalarLoader(text)
        documents = []
        while loader.check_node() and (node := loader.get_node()):
            documents.append((node.start_mark.line + 1, loader.construct_document(node)))
        return documents
    except yaml.YAMLError as error:
        raise _yaml_error(error, text, path) from error


def _yaml_error(error: yaml.YAMLError, text: str, path: Path) -> InputError:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    before = text.split("\n")[mark.line][: mark.column].rstrip() if mark else ""
    is_brace = before.endswith(("}", "]")) or problem == "found unhashable key"
    return InputError(
        f"is not valid YAML ({problem})",
        file=path,
        line=mark.line + 1 if mark else None,
        remedy="quote it: text that begins with { or [ must be in quotes" if is_brace else "correct the YAML",
    )


def _check_keys(document: dict[Any, Any]) -> None:
    """A misspelt `attributes` would otherwise be taken for a document without any."""
    for key in document:
        if key not in _KEYS:
            raise InputError("is not a field", field=str(key), remedy=nearest(str(key), _KEYS))


def image_set(model: type[ImageSet], attributes: Any) -> ImageSet:
    """The image set of a document's attributes, in this process's environment.

    Args:
        model: the class of the spec.
        attributes: plain values, or what :func:`load_attributes` gives.

    Raises:
        InputError: for the first fault; it names no file.
    """
    spec = validated(model, with_environment(resolve_scalars(attributes, model)))
    chosen_kind(spec.prompts)
    spec._document_digest = _attributes_digest(attributes)
    return spec


def document_digests(path: Path) -> set[str]:
    """The `document_digest` of each image set in a YAML file, as the file is now.

    Raises:
        InputError: the file cannot be read or is not YAML.
    """
    documents = [document for _, document in _read_documents(path) if isinstance(document, dict)]
    return {_attributes_digest(_attributes(document)) for document in documents}


def _attributes_digest(attributes: Any) -> str:
    """Hash of attributes in their order, because the order of axes decides the order of prompts."""
    return bytes_digest(repr(attributes).encode())


def validated(model: type[Model], fields: Any) -> Model:
    """`fields` as a `model`.

    Raises:
        InputError: for the first fault.
    """
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise sentence(model, error.errors()[0]) from error


def is_image_set(path: Path) -> bool:
    """Whether a YAML file says it describes an image set, in whatever encoding; loading it says what is wrong."""
    try:
        text = path.read_bytes().replace(b"\0", b"").decode(errors="replace")
    except OSError:
        return False
    return bool(_TYPE_LINE.search(text))
