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
from hierflow.positions import located
from hierflow.prompts.source import chosen_kind
from hierflow.spec import ImageSetSpec

COMPONENT = "hierflow.ImageSet"
_KEYS = ("type", "attributes", "template_vars_module", "requirements", "post_processing")
"""What Dagster reads at the top of a component's document."""
Model = TypeVar("Model", bound=BaseModel)
ImageSet = TypeVar("ImageSet", bound=ImageSetSpec)
# A line and not parsed YAML: a document with a fault in it must be found, so that loading it can tell the fault.
_TYPE_LINE = re.compile(
    rf"""^(\{{\s*)?['"]?type['"]?\s*:\s+['"]?{re.escape(COMPONENT)}['"]?\s*(,|\}}|\s#|$)""", re.MULTILINE
)


class _Loader(yaml.SafeLoader):
    """YAML in which a key given twice is an error: the first would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is not None and name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{name!r} is given twice", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


def load_document(path: Path) -> ImageSetSpec:
    """The image set that the YAML document at `path` describes.

    Raises:
        InputError: there is no such file, it is not one YAML mapping of type `hierflow.ImageSet`, or a field is
            missing, unknown or out of range. The line is named.
    """
    try:
        documents = list(yaml.load_all(path.read_text("utf-8"), Loader=_Loader))
    except FileNotFoundError as error:
        raise InputError("does not exist", file=path, remedy="give the path of an image-set document") from error
    except IsADirectoryError as error:
        raise InputError("is a folder", file=path, remedy="give the path of an image-set document") from error
    except UnicodeDecodeError as error:
        raise InputError("is not UTF-8 text", file=path, remedy="save it as UTF-8") from error
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", file=path, remedy="give a file that can be") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date such as 2024-99-99
        line, problem = _in_yaml(error)
        raise InputError(f"is not valid YAML ({problem})", file=path, line=line, remedy="mend the YAML") from error
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise InputError(
            "is not one YAML mapping", file=path, remedy=f"start it with `type: {COMPONENT}` and `attributes:`"
        )
    document = documents[0]
    try:
        if document.get("type") != COMPONENT:
            raise InputError(
                "is not the type of an image set" if "type" in document else "is missing",
                field="type",
                value=document.get("type"),
                remedy=f"write `type: {COMPONENT}`",
            )
        _check_keys(document)
        return image_set(ImageSetSpec, document.get("attributes") or {})
    except InputError as error:
        raise located(error, path) from error


def _check_keys(document: dict[Any, Any]) -> None:
    """A misspelt `attributes` would otherwise be taken for a document without any."""
    for key in document:
        if key not in _KEYS:
            raise InputError("is not a field", field=str(key), remedy=nearest(str(key), _KEYS))


def image_set(model: type[ImageSet], attributes: Any) -> ImageSet:
    """The image set of a document's attributes, as YAML holds them, in this process's environment.

    Raises:
        InputError: for the first fault; it names no file.
    """
    spec = validated(model, with_environment(attributes))
    chosen_kind(spec.prompts)
    return spec


def validated(model: type[Model], fields: Any) -> Model:
    """`fields` as a `model`.

    Raises:
        InputError: for the first fault.
    """
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise sentence(model, error.errors()[0]) from error


def _in_yaml(error: Exception) -> tuple[int | None, str]:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return (mark.line + 1 if mark else None), str(problem)


def is_image_set(path: Path) -> bool:
    """Whether a YAML file says it describes an image set; files that cannot be read say so when they are loaded."""
    try:
        return bool(_TYPE_LINE.search(path.read_text("utf-8-sig")))
    except (OSError, UnicodeDecodeError):
        return False
